package kernels

import (
	"fmt"
	"strings"
)

// A DType is how the values of a packed weight are stored. The fewer bytes,
// the faster a reply: decoding reads every weight once for each token.
type DType uint8

const (
	// Float32 keeps weights as they were trained.
	Float32 DType = iota
	// BFloat16 keeps the upper half of a float32: its range with 8 bits of
	// precision. Activations are rounded likewise when they meet the weight;
	// sums are in float32.
	BFloat16
	// Int8 keeps 8-bit integers and a float32 scale for each output; see int8.go.
	Int8
)

var dtypeNames = [...]string{Float32: "f32", BFloat16: "bf16", Int8: "int8"}

// String is the type's name on the command line: f32, bf16 or int8.
func (d DType) String() string {
	if int(d) < len(dtypeNames) {
		return dtypeNames[d]
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// ParseDType turns a name into a DType.
func ParseDType(name string) (DType, error) {
	for d, known := range dtypeNames {
		if name == known {
			return DType(d), nil
		}
	}
	return 0, fmt.Errorf("unknown weight type %q (known are %s)", name, strings.Join(dtypeNames[:], ", "))
}
