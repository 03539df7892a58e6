//go:build !linux

package kernels

func adviseHuge([]uint32) {}
