package kernels

// PanelWidth is W, how many columns a panel of packed floats holds: 32 with
// AVX-512, 16 otherwise. It is fixed for the life of the process.
func PanelWidth() int { return 16 }
