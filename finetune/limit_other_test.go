//go:build !linux && !darwin

package finetune

const (
	canLimitFiles = false
	limitVariable = ""
)

func limitFiles() {}
