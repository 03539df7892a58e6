package kernels

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestAVX2KeepsToItsRegisters: vector registers 16 to 31 are AVX-512's, and the
// assembler would encode them without a word.
func TestAVX2KeepsToItsRegisters(t *testing.T) {
	files, err := filepath.Glob("*_avx2_amd64.s")
	if err != nil || len(files) == 0 {
		t.Fatalf("no AVX2 assembly found: %v", err)
	}
	beyond := regexp.MustCompile(`\b[XYZ](1[6-9]|2[0-9]|3[01])\b|\bZ[0-9]|\bK[1-7]\b`)
	for _, name := range files {
		code, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if reg := beyond.Find(code); reg != nil {
			t.Errorf("%s uses %s", name, reg)
		}
	}
}
