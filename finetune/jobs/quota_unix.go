//go:build unix

package jobs

import (
	"errors"
	"syscall"
)

func overQuota(err error) bool { return errors.Is(err, syscall.EDQUOT) }
