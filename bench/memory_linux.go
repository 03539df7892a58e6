package bench

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// peakMemory is the most memory this process has had resident, in bytes; 0 when
// the system does not say.
func peakMemory() int64 {
	n, err := PeakMemory(os.Getpid())
	if err != nil {
		return 0
	}
	return n
}

// PeakMemory is the most memory that a process has had resident, in bytes:
// VmHWM of proc_pid_status(5).
func PeakMemory(pid int) (int64, error) {
	kib, err := statusField(fmt.Sprintf("/proc/%d/status", pid), "VmHWM")
	return kib << 10, err
}

func statusField(file, field string) (int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, fmt.Errorf("memory of a process: %w", err)
	}
	defer f.Close() // only read
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if name == field {
			return strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		}
	}
	return 0, fmt.Errorf("memory of a process: %s has no %s", file, field)
}

// processor is the processor's name, if the system tells.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close() // only read
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
