package kernels

import "golang.org/x/sys/cpu"

//go:generate go -C gen run . -isa avx512 -kind products -pkg kernels -out ../products_avx512_amd64.s -stubs ../products_avx512_amd64.go
//go:generate go -C gen run . -isa avx512 -kind vectors -pkg kernels -out ../vectors_avx512_amd64.s -stubs ../vectors_avx512_amd64.go
//go:generate go -C gen run . -isa avx512 -kind narrow -pkg kernels -out ../narrow_avx512_amd64.s -stubs ../narrow_avx512_amd64.go
//go:generate go -C gen run . -isa avx512 -kind pairs -pkg kernels -out ../pairs_avx512_amd64.s -stubs ../pairs_avx512_amd64.go
//go:generate go -C gen run . -isa avx2 -kind narrow -pkg kernels -out ../narrow_avx2_amd64.s -stubs ../narrow_avx2_amd64.go
//go:generate go -C gen run . -isa avx2 -kind products -pkg kernels -out ../products_avx2_amd64.s -stubs ../products_avx2_amd64.go
//go:generate go -C gen run . -isa avx2 -kind vectors -pkg kernels -out ../vectors_avx2_amd64.s -stubs ../vectors_avx2_amd64.go

func bestPath() path {
	x := &cpu.X86
	switch {
	case x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512BW && x.HasAVX512VL && x.HasBMI2:
		return pathAVX512
	case x.HasAVX2 && x.HasFMA && x.HasF16C:
		return pathAVX2
	}
	return pathGeneric
}
