// Command gen writes the assembly of package kernels with avo.
//
// Every kernel is written once, here, against the small vector vocabulary of
// isa.go, and comes out twice: for AVX-512 and for AVX2 with FMA. The lines that
// call it, for go generate, are in ../cpu_amd64.go.
package main

import (
	"flag"
	"log"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	log.SetFlags(0)
	isaName := flag.String("isa", "avx512", "instruction set: avx512 or avx2")
	kind := flag.String("kind", "", "what to write: products, vectors, narrow or pairs")
	flag.Parse()

	s, ok := isas[*isaName]
	if !ok {
		log.Fatalf("gen: no instruction set %q", *isaName)
	}
	ConstraintExpr("amd64")
	switch *kind {
	case "products":
		products(s)
	case "vectors":
		vectors(s)
	case "narrow":
		narrow(s)
	case "pairs":
		pairs(s)
	default:
		log.Fatalf("gen: nothing called %q to write", *kind)
	}
	Generate()
	if err := spell(flag.Lookup("out").Value.String()); err != nil {
		log.Fatalf("gen: %v", err)
	}
}
