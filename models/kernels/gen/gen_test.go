package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestAssemblyIsUpToDate runs the generator and compares with what is
// committed; after a change here, run go generate in the package above.
func TestAssemblyIsUpToDate(t *testing.T) {
	dir := t.TempDir()
	tool := filepath.Join(dir, "gen")
	if out, err := exec.Command("go", "build", "-o", tool, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for set := range isas {
		kinds := []string{"products", "vectors", "narrow"}
		if set == "avx512" {
			kinds = append(kinds, "pairs")
		}
		for _, kind := range kinds {
			name := kind + "_" + set + "_amd64"
			out := filepath.Join(dir, name)
			cmd := exec.Command(tool, "-isa", set, "-kind", kind, "-pkg", "kernels", "-out", out+".s", "-stubs", out+".go")
			if msg, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, msg)
			}
			for _, ext := range []string{".s", ".go"} {
				if got, want := body(t, out+ext), body(t, filepath.Join("..", name+ext)); !bytes.Equal(got, want) {
					t.Errorf("%s is not what the generator writes", name+ext)
				}
			}
		}
	}
}

// body reads a generated file without its first line, which names the command.
func body(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(data, []byte("\n"))
	return rest
}
