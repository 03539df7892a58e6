package cli

import (
	"fmt"

	"causerie/models/kernels"
)

// precisionOf is the precision of training that --precision names; "" is f32.
func precisionOf(name string) (kernels.DType, error) {
	if name == "" {
		return kernels.Float32, nil
	}
	d, err := kernels.ParseDType(name)
	if err != nil {
		return d, usagef("--precision: %w", err)
	}
	return d, nil
}

// warnOfPrecision says when a precision is a bad choice on this machine.
func warnOfPrecision(std *IO, d kernels.DType) {
	if d == kernels.BFloat16 && !kernels.FastBFloat16() {
		fmt.Fprintln(std.Err, "causerie: this processor has no instructions for bfloat16: --precision f32 is hundreds of times as fast here")
	}
}
