// OpenAI's client for JavaScript against a real server with the bundled model.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI, { toFile } from "openai";
import { start } from "./server.mjs";

let server, client, model;
const data = mkdtempSync(join(tmpdir(), "causerie-data-"));

before(async () => {
  server = await start("--data", data, "--slots", "2");
  model = server.model;
  client = new OpenAI({ baseURL: server.url, apiKey: "none", maxRetries: 0 });
});

after(async () => {
  assert.equal(await server.stop(), 0, "the server must end in order");
  rmSync(data, { recursive: true, force: true });
});

const hello = [{ role: "user", content: "hello" }];

// refused checks what the client makes of an error.
async function refused(promise, type, status, code, param) {
  await assert.rejects(promise, (e) => {
    assert.ok(e instanceof type, `${e.constructor.name}: ${e.message}`);
    assert.deepEqual([e.status, e.code, e.param], [status, code, param], e.message);
    assert.match(e.requestID, /^req_/);
    return true;
  });
}

test("chat", async () => {
  const reply = await client.chat.completions.create({ model, messages: hello, seed: 1 });
  assert.equal(reply.object, "chat.completion");
  assert.equal(reply.choices[0].message.role, "assistant");
  assert.ok(reply.choices[0].message.content.length > 0);
  assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens);
  assert.match(reply._request_id, /^req_/);
  const again = await client.chat.completions.create({ model, messages: [...hello, reply.choices[0].message, { role: "user", content: [{ type: "text", text: "你好" }] }] });
  assert.ok(again.choices[0].message.content.length > 0);
});

test("streamed chat is the whole one", async () => {
  const params = { model, messages: hello, seed: 2, n: 2, max_completion_tokens: 20 };
  const whole = await client.chat.completions.create(params);
  const texts = ["", ""], reasons = [];
  const roles = [0, 0], ids = new Set();
  let usage;
  for await (const chunk of await client.chat.completions.create({ ...params, stream: true, stream_options: { include_usage: true } })) {
    ids.add(chunk.id);
    for (const c of chunk.choices) {
      texts[c.index] += c.delta.content ?? "";
      if (c.delta.role) roles[c.index]++;
      if (c.finish_reason) reasons[c.index] = c.finish_reason;
    }
    usage = chunk.usage ?? usage;
  }
  assert.deepEqual(texts, whole.choices.map((c) => c.message.content));
  assert.deepEqual(reasons, whole.choices.map((c) => c.finish_reason));
  assert.deepEqual(roles, [1, 1]);
  assert.equal(ids.size, 1);
  assert.deepEqual(usage, whole.usage);
});

test("the client's own collector of a stream", async () => {
  const runner = client.chat.completions.stream({ model, messages: hello, seed: 3 });
  let text = "";
  runner.on("content", (piece) => { text += piece; });
  const final = await runner.finalChatCompletion();
  assert.equal(final.choices[0].message.content, text);
  assert.ok(text.length > 0);
});

test("an aborted stream frees its place", async () => {
  for (let i = 0; i < 5; i++) { // more than there are places
    const stream = await client.chat.completions.create({ model, messages: hello, stream: true, ignore_eos: true, max_tokens: 200 });
    for await (const _ of stream) break; // leaving the loop aborts
  }
  const start = Date.now();
  await client.chat.completions.create({ model, messages: hello, max_tokens: 1 });
  assert.ok(Date.now() - start < 5000, "a short reply had to wait for aborted ones");
  for (let i = 0; i < 50 && server.log.filter((l) => l.status === 499).length === 0; i++) await sleep(20);
  assert.ok(server.log.some((l) => l.status === 499), "the log does not say that a client went");
});

test("structured output", async () => {
  const schema = {
    type: "object", additionalProperties: false, required: ["answer", "sure"],
    properties: { answer: { type: "string", maxLength: 30 }, sure: { type: "boolean" }, marks: { type: "array", items: { type: "integer" }, maxItems: 2 } },
  };
  const params = { model, messages: hello, seed: 5, n: 2, response_format: { type: "json_schema", json_schema: { name: "reply", strict: true, schema } } };
  const whole = await client.chat.completions.parse(params);
  for (const c of whole.choices) {
    const value = JSON.parse(c.message.content);
    assert.equal(typeof value.answer, "string");
    assert.equal(typeof value.sure, "boolean");
    assert.equal(c.finish_reason, "stop");
  }
  const runner = client.chat.completions.stream({ ...params, n: 1 });
  const final = await runner.finalChatCompletion();
  assert.equal(final.choices[0].message.content, whole.choices[0].message.content);
  const object = await client.chat.completions.create({ model, messages: hello, max_tokens: 40, response_format: { type: "json_object" } });
  assert.equal(typeof JSON.parse(object.choices[0].message.content), "object");
  const bad = { type: "json_schema", json_schema: { name: "bad", schema: { type: "object", minProperties: 1 } } };
  await refused(client.chat.completions.create({ ...params, response_format: bad }), OpenAI.BadRequestError, 400, "invalid_json_schema", "response_format");
});

test("completions", async () => {
  const params = { model, prompt: ["hello", "good morning"], max_tokens: 5, seed: 1, echo: true };
  const whole = await client.completions.create(params);
  assert.equal(whole.choices.length, 2);
  assert.ok(whole.choices[1].text.startsWith("good morning"));
  const texts = ["", ""];
  for await (const chunk of await client.completions.create({ ...params, stream: true })) {
    for (const c of chunk.choices) texts[c.index] += c.text;
  }
  assert.deepEqual(texts, whole.choices.map((c) => c.text));
});

test("embeddings, for which the client asks in base64", async () => {
  const input = ["good morning", "早上好"];
  const byDefault = await client.embeddings.create({ model, input });
  const floats = await client.embeddings.create({ model, input, encoding_format: "float" });
  for (const i of [0, 1]) {
    assert.deepEqual([...byDefault.data[i].embedding], floats.data[i].embedding.map(Math.fround));
    assert.ok(Math.abs(floats.data[i].embedding.reduce((s, x) => s + x * x, 0) - 1) < 1e-5);
  }
  const short = await client.embeddings.create({ model, input: "hi", dimensions: 16 });
  assert.equal(short.data[0].embedding.length, 16);
});

test("models", async () => {
  const ids = [];
  for await (const m of client.models.list()) ids.push(m.id);
  assert.deepEqual(ids, [model]);
  assert.equal((await client.models.retrieve(model)).owned_by, "causerie");
  await refused(client.models.delete(model), OpenAI.PermissionDeniedError, 403, "model_not_deletable", "model");
  await refused(client.models.retrieve("gpt-5"), OpenAI.NotFoundError, 404, "model_not_found", "model");
});

test("moderations", async () => {
  const { results } = await client.moderations.create({ model: "omni-moderation-latest", input: ["good morning", "I will kill you"] });
  assert.deepEqual(results.map((r) => r.flagged), [false, true]);
  assert.equal(results[1].categories["harassment/threatening"], true);
});

test("stored completions", async () => {
  const made = [];
  for (let i = 0; i < 3; i++) {
    const c = await client.chat.completions.create({ model, messages: hello, max_tokens: 1, store: true, metadata: { run: "node", i: `${i}` } });
    made.push(c.id);
  }
  const listed = [];
  for await (const c of client.chat.completions.list({ limit: 1, order: "desc", metadata: { run: "node" } })) listed.push(c.id);
  assert.deepEqual(listed, made.toReversed());
  assert.deepEqual((await client.chat.completions.retrieve(made[0])).metadata, { run: "node", i: "0" });
  assert.deepEqual((await client.chat.completions.update(made[0], { metadata: { x: "y" } })).metadata, { x: "y" });
  const messages = [];
  for await (const m of client.chat.completions.messages.list(made[0])) messages.push([m.role, m.content]);
  assert.deepEqual(messages, [["user", "hello"]]);
  assert.equal((await client.chat.completions.delete(made[0])).deleted, true);
  await refused(client.chat.completions.retrieve(made[0]), OpenAI.NotFoundError, 404, "not_found", null);
});

test("conversations", async () => {
  const { id } = await client.conversations.create({ items: [{ role: "user", content: "hello" }, { role: "assistant", content: "Hi!" }], metadata: { a: "b" } });
  const reply = await client.chat.completions.create({ model, messages: [{ role: "user", content: "how are you?" }], conversation: id });
  const items = [];
  for await (const item of client.conversations.items.list(id, { order: "asc", limit: 2 })) items.push([item.role, item.content[0].text]);
  assert.deepEqual(items, [["user", "hello"], ["assistant", "Hi!"], ["user", "how are you?"], ["assistant", reply.choices[0].message.content]]);
  const added = await client.conversations.items.create(id, { items: [{ type: "message", role: "user", content: [{ type: "input_text", text: "bye" }] }] });
  assert.equal((await client.conversations.items.retrieve(added.data[0].id, { conversation_id: id })).content[0].text, "bye");
  assert.equal((await client.conversations.items.delete(added.data[0].id, { conversation_id: id })).id, id);
  assert.deepEqual((await client.conversations.update(id, { metadata: {} })).metadata, {});
  assert.equal((await client.conversations.retrieve(id)).object, "conversation");
  assert.equal((await client.conversations.delete(id)).deleted, true);
  await refused(client.conversations.retrieve(id), OpenAI.NotFoundError, 404, "not_found", null);
});

// dialogues is a file to learn from.
const dialogues = (n) => Array.from({ length: n }, (_, i) => JSON.stringify({
  messages: [{ role: "user", content: `where is box ${i}?` }, { role: "assistant", content: `Box ${i} is on shelf ${i % 5}.` }],
})).join("\n");

test("files", async () => {
  const made = [];
  for (let i = 0; i < 3; i++) {
    const file = await client.files.create({ file: await toFile(Buffer.from(dialogues(3)), `chats-${i}.jsonl`), purpose: "fine-tune" });
    assert.equal(file.bytes, Buffer.byteLength(dialogues(3)));
    made.push(file.id);
  }
  const listed = [];
  for await (const file of client.files.list({ limit: 1, purpose: "fine-tune" })) listed.push(file.id);
  assert.deepEqual(listed, made.toReversed());
  assert.equal((await client.files.retrieve(made[1])).filename, "chats-1.jsonl");
  assert.equal(await (await client.files.content(made[1])).text(), dialogues(3));
  assert.equal((await client.files.delete(made[1])).deleted, true);
  await refused(client.files.retrieve(made[1]), OpenAI.NotFoundError, 404, "not_found", null);
  await refused(client.files.create({ file: await toFile(Buffer.from("x"), "a"), purpose: "fun" }), OpenAI.BadRequestError, 400, null, "purpose");
  for (const id of [made[0], made[2]]) await client.files.delete(id);
});

test("fine-tuning", async () => {
  const file = await client.files.create({ file: await toFile(Buffer.from(dialogues(20)), "chats.jsonl"), purpose: "fine-tune" });
  let job = await client.fineTuning.jobs.create({
    model, training_file: file.id, suffix: "boxes", seed: 1, method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 1 } } },
  });
  assert.equal(job.object, "fine_tuning.job");
  while (!["succeeded", "failed", "cancelled"].includes(job.status)) {
    await sleep(100);
    job = await client.fineTuning.jobs.retrieve(job.id);
  }
  assert.equal(job.status, "succeeded", JSON.stringify(job.error));
  assert.match(job.fine_tuned_model, /^ft:default:causerie:boxes:/);
  const reply = await client.chat.completions.create({ model: job.fine_tuned_model, messages: [{ role: "user", content: "where is box 3?" }] });
  assert.equal(reply.model, job.fine_tuned_model);
  assert.ok(reply.choices[0].message.content.length > 0);
  const events = [];
  for await (const e of client.fineTuning.jobs.listEvents(job.id, { limit: 2 })) events.push(e);
  assert.match(events.at(-1).message, /^Created/);
  assert.ok(events.some((e) => e.type === "metrics" && e.data.train_loss > 0));
  for await (const c of client.fineTuning.jobs.checkpoints.list(job.id, { limit: 1 })) {
    await client.chat.completions.create({ model: c.fine_tuned_model_checkpoint, messages: hello, max_tokens: 1 });
  }
  assert.match(await (await client.files.content(job.result_files[0])).text(), /^step,train_loss,/);
  const jobs = [];
  for await (const j of client.fineTuning.jobs.list({ limit: 1 })) jobs.push(j.id);
  assert.deepEqual(jobs, [job.id]);
  await refused(client.fineTuning.jobs.cancel(job.id), OpenAI.BadRequestError, 400, "invalid_job_status", null);
  await refused(client.fineTuning.jobs.create({ model, training_file: "file-none" }), OpenAI.BadRequestError, 400, "file_not_found", "training_file");
  assert.equal((await client.models.delete(job.fine_tuned_model)).deleted, true);
  await refused(client.models.retrieve(job.fine_tuned_model), OpenAI.NotFoundError, 404, "model_not_found", "model");
});

test("errors", async () => {
  const ask = (more) => client.chat.completions.create({ model, messages: hello, ...more });
  await refused(ask({ model: "gpt-5" }), OpenAI.NotFoundError, 404, "model_not_found", "model");
  await refused(ask({ temperature: 3 }), OpenAI.BadRequestError, 400, null, "temperature");
  await refused(ask({ tools: [{ type: "function", function: { name: "f" } }] }), OpenAI.BadRequestError, 400, "unsupported_parameter", "tools");
  await refused(ask({ nonsense: 1 }), OpenAI.BadRequestError, 400, "unknown_parameter", "nonsense");
  await refused(ask({ stream: true, messages: [{ role: "user", content: "rain ".repeat(5000) }] }), OpenAI.BadRequestError, 400, "context_length_exceeded", "messages");
});
