//go:build unix

package load

import "golang.org/x/sys/unix"

// openFiles is how many files this process may have open: RLIMIT_NOFILE of
// getrlimit(2).
func openFiles() (uint64, bool) {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0, false
	}
	return uint64(limit.Cur), true //nolint:unconvert // signed on some systems
}
