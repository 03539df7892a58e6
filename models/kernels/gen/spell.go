package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
)

// Go's assembler does not know VDPBF16PS. It is encoded like VPDPWSSD but for
// its prefix (F3 in place of 66; Intel's manual, volume 2), so the generator
// writes the latter and spell replaces it by the former, byte by byte.

var placeholder = regexp.MustCompile(`(?m)^\tVPDPWSSD +Z(\d+), Z(\d+), Z(\d+)$`)

// spell rewrites a file of assembly.
func spell(name string) error {
	code, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	code = placeholder.ReplaceAllFunc(code, func(line []byte) []byte {
		var z [3]int
		for i, digits := range placeholder.FindSubmatch(line)[1:] {
			z[i], _ = strconv.Atoi(string(digits))
		}
		b := vdpbf16ps(z[0], z[1], z[2])
		return fmt.Appendf(nil, "\tLONG $0x%02x%02x%02x%02x; WORD $0x%02x%02x // VDPBF16PS Z%d, Z%d, Z%d",
			b[3], b[2], b[1], b[0], b[5], b[4], z[0], z[1], z[2])
	})
	return os.WriteFile(name, code, 0o666)
}

// vdpbf16ps encodes acc += x·w for three registers of 512 bits: EVEX.512.F3.0F38.W0 52 /r.
// The prefix holds the registers' upper bits, inverted.
func vdpbf16ps(x, w, acc int) [6]byte {
	inverted := func(reg, bit, to int) byte { return byte(^reg>>bit&1) << to }
	const map0F38, fixed, prefixF3, size512 = 0b010, 1 << 2, 0b10, 0b10 << 5
	return [6]byte{
		0x62,
		inverted(acc, 3, 7) | inverted(x, 4, 6) | inverted(x, 3, 5) | inverted(acc, 4, 4) | map0F38,
		byte(^w&0xf)<<3 | fixed | prefixF3,
		size512 | inverted(w, 4, 3),
		0x52,
		0b11<<6 | byte(acc&7)<<3 | byte(x&7),
	}
}
