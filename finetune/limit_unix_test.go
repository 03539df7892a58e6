//go:build linux || darwin

package finetune

import (
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

const (
	canLimitFiles = true
	limitVariable = "CAUSERIE_TEST_FILE_LIMIT"
)

// limitFiles makes writes beyond so many bytes of a file fail, as they do on a
// full disk.
func limitFiles() {
	n, err := strconv.ParseUint(os.Getenv(limitVariable), 10, 63)
	if err != nil {
		return
	}
	signal.Ignore(syscall.SIGXFSZ) // or the process would be killed
	limit := syscall.Rlimit{Cur: n, Max: n}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		panic(err)
	}
}
