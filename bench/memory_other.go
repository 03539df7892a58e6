//go:build !unix

package bench

import (
	"errors"
	"os"
	"runtime"
)

// peakMemory is the memory that Go has taken from the system, in bytes: the
// nearest that can be told everywhere.
func peakMemory() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}

// PeakMemory is the most memory that a process has had resident, in bytes.
func PeakMemory(int) (int64, error) {
	return 0, errors.New("memory of a process: this system does not tell it of others")
}

// processor is the processor's name, if the system tells.
func processor() string { return os.Getenv("PROCESSOR_IDENTIFIER") }
