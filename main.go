// Command causerie trains, serves and talks with GPT-2 dialogue models on an
// ordinary CPU. `go run . chat` starts a conversation with the bundled model;
// `go run . --help` lists everything else.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"causerie/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := cli.Main(ctx, os.Args[1:], cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}
