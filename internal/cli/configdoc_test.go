package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

const configurationDoc = "../../docs/configuration.md"

// TestConfigurationDoc holds docs/configuration.md to the flags there are. With
// -update its tables are written anew.
func TestConfigurationDoc(t *testing.T) {
	parser, err := newParser(t.Context(), &IO{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(configurationDoc)
	if err != nil {
		t.Fatal(err)
	}
	const mark = "<!-- What follows is made of the flags: go test ./internal/cli -run TestConfigurationDoc -update -->\n"
	before, _, ok := strings.Cut(string(text), mark)
	if !ok {
		t.Fatalf("%s has no line %q", configurationDoc, mark)
	}
	want := before + mark
	for _, command := range leaves(parser.Model.Node) {
		want += commandTable(command)
	}
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s does not list the flags as they are; write it with\n\tgo test ./internal/cli -run TestConfigurationDoc -update", configurationDoc)
	}
	if err := os.WriteFile(configurationDoc, []byte(want), 0o666); err != nil {
		t.Fatal(err)
	}
}

// commandTable is a section with the flags of one command.
func commandTable(n *kong.Node) string {
	var rows strings.Builder
	for _, f := range n.Flags {
		if f.Hidden || f.Name == "help" {
			continue
		}
		variable, fallback := "command line only", ""
		if isSetting(f) {
			variable = "`" + strings.Join(f.Tag.Envs, "`, `") + "`"
		}
		if f.HasDefault {
			fallback = "`" + f.Default + "`"
		}
		fmt.Fprintf(&rows, "| `%s` | %s | %s | %s |\n", f.Name, variable, fallback, cell.Replace(f.Help))
	}
	if rows.Len() == 0 {
		return ""
	}
	return fmt.Sprintf("\n## %s\n\n%s\n\n| key, flag | variable | default | |\n|---|---|---|---|\n%s",
		strings.TrimPrefix(n.FullPath(), "causerie "), n.Help, rows.String())
}

var cell = strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ")
