//go:build unix && !linux

package bench

import (
	"errors"
	"runtime"

	"golang.org/x/sys/unix"
)

// peakMemory is the most memory this process has had resident, in bytes; 0 when
// the system does not say.
func peakMemory() int64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(u.Maxrss) // in bytes there, in KiB elsewhere
	}
	return int64(u.Maxrss) << 10
}

// PeakMemory is the most memory that a process has had resident, in bytes.
func PeakMemory(int) (int64, error) {
	return 0, errors.New("memory of a process: this system does not tell it of others")
}

// processor is the processor's name, if the system tells.
func processor() string {
	if runtime.GOOS != "darwin" {
		return ""
	}
	name, err := unix.Sysctl("machdep.cpu.brand_string")
	if err != nil {
		return ""
	}
	return name
}
