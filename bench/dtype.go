package bench

import (
	"fmt"
	"strings"

	"causerie/models/kernels"
)

// dtype is a type that weights are kept in.
type dtype struct {
	name  string
	bytes float64                     // of a weight
	peak  func(*kernels.Pool) float64 // billions of operations a second at most
}

// dtypes are those that can be served.
var dtypes = []dtype{
	{name: "f32", bytes: 4, peak: kernels.MeasurePeak},
}

// float32s is the type of everything but weights.
func float32s() dtype { return dtypes[0] }

func parseDType(name string) (dtype, error) {
	var names []string
	for _, d := range dtypes {
		if d.name == name {
			return d, nil
		}
		names = append(names, d.name)
	}
	return dtype{}, fmt.Errorf("no weights of type %q; known are %s", name, strings.Join(names, ", "))
}
