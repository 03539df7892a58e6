//go:build unix && !linux

package finetune

import "golang.org/x/sys/unix"

func lowerPriority() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, 20) }
