//go:build !amd64

package kernels

func bestPath() path { return pathGeneric }
