//go:build !unix && !windows

package finetune

import "errors"

func lowerPriority() error { return errors.ErrUnsupported }
