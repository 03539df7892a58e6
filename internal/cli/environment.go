package cli

import (
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

// environment gives each flag the variable that can set it.
func environment() kong.Option {
	return kong.PostBuild(func(k *kong.Kong) error {
		for _, command := range k.Model.Children {
			prefix := "CAUSERIE_"
			if !command.Tag.Has("common") {
				prefix += variable(command.Name) + "_"
			}
			for flag := range flagsUnder(command) {
				if isSetting(flag) && len(flag.Tag.Envs) == 0 {
					flag.Tag.Envs = []string{prefix + variable(flag.Name)}
				}
			}
		}
		return nil
	})
}

func variable(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// isSetting tells flags that environment and files can set from those that
// belong to one call.
func isSetting(f *kong.Flag) bool {
	return !f.Hidden && f.Name != "help" && f.Tag.Get("config") != "-"
}

// setVariable is the variable that has a value for the flag, if any has.
func setVariable(f *kong.Flag) (string, bool) {
	for _, name := range f.Tag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return name, true
		}
	}
	return "", false
}

// flagsUnder yields the flags of a command and of those below it.
func flagsUnder(n *kong.Node) func(yield func(*kong.Flag) bool) {
	return func(yield func(*kong.Flag) bool) { visitFlags(n, yield) }
}

func visitFlags(n *kong.Node, yield func(*kong.Flag) bool) bool {
	for _, f := range n.Flags {
		if !yield(f) {
			return false
		}
	}
	for _, child := range n.Children {
		if !visitFlags(child, yield) {
			return false
		}
	}
	return true
}
