package kernels

// makeHuge makes a large slice that is read from front to back again and
// again. The system is asked for huge pages: with ordinary ones, finding out
// where a page lies costs as much as reading some of it.
func makeHuge[T uint32 | float32](n int) []T {
	s := make([]T, n)
	adviseHuge(s)
	return s
}
