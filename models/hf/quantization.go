package hf

import (
	"encoding/json"

	"causerie/models/hf/internal/strictjson"
)

const (
	quantizationKey = "quantization_config"

	// quantMethod names this package's scheme in config.json and, as the format,
	// in the file's metadata.
	quantMethod = "causerie-int8"
	// quantVersion goes up when older programs cannot read what is written.
	quantVersion = 1
)

// quantization is the quantization_config of a folder of int8 weights. The
// last two fields tell people what the first two mean.
type quantization struct {
	Method  string `json:"quant_method"`
	Version int    `json:"version"`
	Scheme  string `json:"scheme"`
	ReadBy  string `json:"read_by"`
}

func ourQuantization() quantization {
	return quantization{
		Method: quantMethod, Version: quantVersion,
		Scheme: "weight = int8 * weight_scale, one scale for each output",
		ReadBy: "causerie; transformers does not know it",
	}
}

// readQuantization takes a quantization_config of ours. Any other is left, to
// be refused.
func readQuantization(f *fields) bool {
	var q quantization
	raw := f.left[quantizationKey]
	if json.Unmarshal(raw, &q) != nil || q.Method != quantMethod {
		return false
	}
	f.take(quantizationKey)
	if q.Version != quantVersion {
		f.fail(quantizationKey, "version %d of %s is not known, only %d: %s", q.Version, quantMethod, quantVersion, strictjson.Show(raw))
		return false
	}
	return true
}
