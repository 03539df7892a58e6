package cli

import "github.com/alecthomas/kong"

// commands is the whole command line: one field per command, in the order
// that --help lists them. A new command is a struct in a file of its own, with
// a method Run(ctx context.Context, std *IO) error, and one line here.
type commands struct {
	Version kong.VersionFlag `help:"Print the version and exit."`
}
