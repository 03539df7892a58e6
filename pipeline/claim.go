package pipeline

import "causerie/models/kernels"

// claim is an engine's hold on the processors: while it has work, what computes
// in the background of this process, such as a training, gives way.
type claim bool

// set takes hold or lets go.
func (c *claim) set(busy bool) {
	switch {
	case busy && !bool(*c):
		kernels.Claim()
	case !busy && bool(*c):
		kernels.Release()
	}
	*c = claim(busy)
}
