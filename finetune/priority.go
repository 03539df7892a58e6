package finetune

import "fmt"

// LowerPriority gives this process the lowest priority that the operating
// system has for one that is to go on, so that a training in a process of its
// own gives way to servers and everything else on the machine. What it computes
// stays the same. It cannot be taken back.
func LowerPriority() error {
	if err := lowerPriority(); err != nil {
		return fmt.Errorf("lowering the priority of the process: %w", err)
	}
	return nil
}
