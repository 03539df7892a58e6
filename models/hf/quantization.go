package hf

import (
	"encoding/json"

	"causerie/models/hf/internal/strictjson"
)

const (
	quantizationKey = "quantization_config"

	// int8Format names the scheme of int8 folders, in config.json and in the
	// metadata of the file.
	int8Format = "causerie-int8"
	// int8Version goes up when older programs cannot read what is written.
	int8Version = 1
)

// quantization is the quantization_config of a folder of int8 weights. The
// last two fields tell people what the first two mean.
//
// It has no quant_method on purpose. transformers only warns of a method that
// it does not know, and goes on to take the integers for the weights; that
// there is no method is an error.
type quantization struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Scheme  string `json:"scheme"`
	ReadBy  string `json:"read_by"`
}

func int8Quantization() quantization {
	return quantization{
		Format: int8Format, Version: int8Version,
		Scheme: "weight = int8 * weight_scale, one scale for each output",
		ReadBy: "causerie alone: there is no quant_method, so that transformers refuses the integers",
	}
}

// readQuantization takes a quantization_config of ours. Any other is left, to
// be refused.
func readQuantization(f *fields) bool {
	var q quantization
	raw := f.left[quantizationKey]
	if json.Unmarshal(raw, &q) != nil || q.Format != int8Format {
		return false
	}
	f.take(quantizationKey)
	if q.Version != int8Version {
		f.fail(quantizationKey, "only version %d of %s is known: %s", int8Version, int8Format, strictjson.Show(raw))
		return false
	}
	return true
}
