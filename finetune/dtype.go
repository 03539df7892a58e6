package finetune

import (
	"fmt"
	"strings"

	"causerie/models/hf/safetensors"
)

// DType is how weights are stored.
type DType = safetensors.DType

// The types that a result can be stored in.
const (
	F32  = safetensors.F32
	F16  = safetensors.F16
	BF16 = safetensors.BF16
)

// ParseDType finds a type by its name, in either case; "" is F32.
func ParseDType(name string) (DType, error) {
	switch d := DType(strings.ToUpper(name)); d {
	case "":
		return F32, nil
	case F32, F16, BF16:
		return d, nil
	default:
		return "", fmt.Errorf("unknown dtype %q (known are f32, f16 and bf16)", name)
	}
}
