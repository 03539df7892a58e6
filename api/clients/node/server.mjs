// Starts `causerie serve` with the bundled model and finds out where it listens.
import { spawn, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

// binary is the program named by CAUSERIE, or one built from this tree.
function binary(folder) {
  if (process.env.CAUSERIE) return process.env.CAUSERIE;
  const path = join(folder, "causerie");
  execFileSync("go", ["build", "-o", path, "."], { cwd: root, stdio: "inherit", env: { ...process.env, CGO_ENABLED: "0" } });
  return path;
}

// start resolves to the server's address, what it logs, and a function that
// stops it and resolves to its exit code.
export async function start(...flags) {
  const folder = mkdtempSync(join(tmpdir(), "causerie-"));
  const child = spawn(binary(folder), ["serve", "--listen", "127.0.0.1:0", "--log-json", ...flags], { stdio: ["ignore", "ignore", "pipe"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const log = [];
  const ready = new Promise((resolve, reject) => {
    let address;
    createInterface({ input: child.stderr }).on("line", (line) => {
      let entry;
      try {
        entry = JSON.parse(line);
      } catch {
        entry = { message: line };
      }
      log.push(entry);
      if (entry.message === "listening") address = entry.address;
      if (entry.message === "ready") resolve({ address, model: entry.model });
    });
    exited.then((code) => reject(new Error(`the server ended with ${code}: ${JSON.stringify(log)}`)));
  });
  const stop = async () => {
    child.kill("SIGTERM");
    const code = await exited;
    rmSync(folder, { recursive: true, force: true });
    return code;
  };
  const { address, model } = await ready;
  return { url: `http://${address}/v1`, model, log, stop };
}
