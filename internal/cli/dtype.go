package cli

import "causerie/models/kernels"

// dtypeFlag chooses what a model's weights are kept in.
type dtypeFlag struct {
	DType string `name:"dtype" default:"auto" enum:"auto,f32,bf16,int8" help:"What the weights are kept in: f32, bf16 or int8 (auto: int8 or bf16 if the file holds that, else f32)."`
}

// dtype is the flag as the packages below take it: nil for auto.
func (f *dtypeFlag) dtype() (*kernels.DType, error) { return parseDType(f.DType) }

func parseDType(name string) (*kernels.DType, error) {
	if name == "" || name == "auto" {
		return nil, nil
	}
	d, err := kernels.ParseDType(name)
	if err != nil {
		return nil, usagef("--dtype: %w", err)
	}
	return &d, nil
}
