// Package kernels holds the float32 arithmetic a transformer is made of.
package kernels
