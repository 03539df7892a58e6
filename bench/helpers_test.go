package bench

import (
	"context"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childVariable makes the test binary do a child's job instead of testing.
const childVariable = "CAUSERIE_BENCH_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := Child(context.Background(), os.Stdin, os.Stdout); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// tiny is a shape that anything can be measured with in no time.
const tiny = "32x2x2x300x128"
