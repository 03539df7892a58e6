package bert_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"causerie/models/bert"
	"causerie/models/hf"
	"causerie/models/kernels"
)

// The folders under encoders were written by transformers (make.py there), and
// so were the states in their golden.json, in float64.
const encoders = "../hf/testdata/encoders"

type goldenFile struct {
	Segments []struct {
		Tokens []int32     `json:"tokens"`
		Types  []int32     `json:"types"`
		Hidden [][]float64 `json:"hidden"`
	} `json:"segments"`
}

func openGolden(t *testing.T, name string, dtype kernels.DType) (*bert.Model, goldenFile) {
	t.Helper()
	folder, err := hf.OpenEncoder(filepath.Join(encoders, name))
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	m, err := folder.Load(dtype)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(encoders, name, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g goldenFile
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return m, g
}

func TestStatesAgainstTransformers(t *testing.T) {
	pool := kernels.NewPool(2)
	defer pool.Close()
	for _, c := range []struct {
		dtype kernels.DType
		off   float64 // states are about 1; what rounding the weights costs a network this small
	}{{kernels.Float32, 1e-5}, {kernels.BFloat16, 0.05}, {kernels.Int8, 0.2}} {
		for _, name := range []string{"mean", "cls", "max", "plain"} {
			t.Run(c.dtype.String()+"/"+name, func(t *testing.T) {
				m, g := openGolden(t, name, c.dtype)
				var segments []bert.Segment
				var want []float64
				for _, s := range g.Segments {
					segments = append(segments, bert.Segment{Tokens: s.Tokens, Types: s.Types})
					for _, row := range s.Hidden {
						want = append(want, row...)
					}
				}
				got := make([]float32, len(want))
				if err := bert.NewRunner(m, pool).Hidden(segments, nil, got); err != nil {
					t.Fatal(err)
				}
				if d := furthest(got, want); !(d <= c.off) {
					t.Errorf("states are off by %g, more than %g", d, c.off)
				}
			})
		}
	}
}

func furthest(got []float32, want []float64) float64 {
	most := 0.0
	for i, v := range want {
		if d := math.Abs(float64(got[i]) - v); !(d <= most) {
			most = d
		}
	}
	return most
}
