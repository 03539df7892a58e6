package finetune

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// lowest is the highest niceness.
const lowest = 19

// lowerPriority makes every thread nice: on Linux niceness belongs to threads,
// and new ones inherit it from the one that makes them. Threads that appear
// meanwhile may have been made by one that was not nice yet, so it looks again
// until there are none.
func lowerPriority() error {
	done := map[int]bool{}
	for {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		fresh := 0
		for _, task := range tasks {
			id, err := strconv.Atoi(task.Name())
			if err != nil || done[id] {
				continue
			}
			if err := unix.Setpriority(unix.PRIO_PROCESS, id, lowest); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
			done[id] = true
			fresh++
		}
		if fresh == 0 {
			return nil
		}
	}
}
