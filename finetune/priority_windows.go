package finetune

import "golang.org/x/sys/windows"

func lowerPriority() error {
	return windows.SetPriorityClass(windows.CurrentProcess(), windows.IDLE_PRIORITY_CLASS)
}
