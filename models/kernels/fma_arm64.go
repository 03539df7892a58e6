package kernels

const fusedFMA = true

// fma32 returns a*b + c rounded once to float32. The language lets compilers
// fuse the two; this one does for arm64 (FMADDS), which TestFMARoundsOnce
// makes sure of. Where a product must be rounded first, callers convert it.
func fma32(a, b, c float32) float32 { return a*b + c }
