package cli

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// ConfigCmd is `causerie config`.
type ConfigCmd struct {
	Check bool     `config:"-" help:"Only check files, environment and flags."`
	Args  []string `arg:"" optional:"" passthrough:"" name:"command" help:"A command, with its flags if you like, such as serve --slots 8 (default: serve)."`
}

// Help is what `causerie config --help` says besides the flags.
func (*ConfigCmd) Help() string {
	return `A flag's value is that of the command line, else of the environment (CAUSERIE_…),
else of the configuration file, else its default. What is printed says for each value
where it comes from, and is a configuration file itself:

  causerie config serve > causerie.yaml
  causerie config --check
  CAUSERIE_SLOTS=8 causerie config serve --kv-memory 512`
}

// Run prints or checks the configuration of a command.
func (c *ConfigCmd) Run(ctx context.Context, std *IO, outer *kong.Kong, parsed *kong.Context) error {
	args := c.Args
	if len(args) == 0 {
		args = []string{"serve"}
	}
	named, err := configFlag(outer, parsed)
	if err != nil {
		return err
	}
	if named != nil {
		args = append([]string{"--config", *named}, args...)
	}
	parser, err := newParser(ctx, std, func(int) {})
	if err != nil {
		return err
	}
	if c.Check {
		return c.check(std, parser, args)
	}
	e, err := settle(parser, args)
	if err != nil {
		return usagef("%w", err)
	}
	return e.write(std.Out)
}

// check parses a command line whole, as if it were to run.
func (c *ConfigCmd) check(std *IO, parser *kong.Kong, args []string) error {
	e, err := settle(parser, args)
	if err != nil {
		return usagef("%w", err)
	}
	if err := e.trace.Validate(); err != nil {
		return usagef("%w", err)
	}
	if checker, ok := e.trace.Selected().Target.Addr().Interface().(interface{ check() error }); ok {
		if err := checker.check(); err != nil {
			return err
		}
	}
	known := map[string]bool{}
	for f := range flagsUnder(parser.Model.Node) {
		for _, name := range f.Tag.Envs {
			known[name] = true
		}
	}
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "CAUSERIE_") && !known[name] {
			fmt.Fprintf(std.Err, "causerie: the variable %s sets nothing\n", name)
		}
	}
	fmt.Fprintf(std.Err, "The configuration of %s is good (%s).\n", e.trace.Selected().FullPath(), e.files)
	return nil
}

// effective is a command line with all that belongs to it.
type effective struct {
	trace *kong.Context
	files configFiles
}

// settle gives every flag of a command its value. Nothing runs, and arguments
// and flags that the command needs may be missing.
func settle(parser *kong.Kong, args []string) (*effective, error) {
	trace, err := kong.Trace(parser, args)
	if err != nil {
		return nil, err
	}
	if trace.Error != nil {
		return nil, trace.Error
	}
	if trace.Selected() == nil {
		return nil, errors.New("name a command, such as serve")
	}
	if err := trace.Reset(); err != nil {
		return nil, err
	}
	files, err := readConfiguration(parser, trace)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		trace.AddResolver(f)
	}
	if err := trace.Resolve(); err != nil {
		return nil, err
	}
	_, err = trace.Apply()
	return &effective{trace, files}, err
}

// write prints the configuration as YAML.
func (e *effective) write(w io.Writer) error {
	node := e.trace.Selected()
	var b strings.Builder
	fmt.Fprintf(&b, "# %s (%s)\n", node.FullPath(), e.files)
	indent := ""
	for _, section := range lineage(node) {
		fmt.Fprintf(&b, "%s%s:\n", indent, section.Name)
		indent += "  "
	}
	for _, f := range e.trace.Flags() {
		if !isSetting(f) {
			continue
		}
		value, err := e.line(f)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s%s\n", indent, value)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// lineage are the commands that lead to a node, without the application.
func lineage(n *kong.Node) (nodes []*kong.Node) {
	for ; n.Parent != nil; n = n.Parent {
		nodes = append(nodes, n)
	}
	slices.Reverse(nodes)
	return nodes
}

// line is a flag's line of the file: commented out when it has no value or one
// that must not be shown.
func (e *effective) line(f *kong.Flag) (string, error) {
	source := e.source(f)
	if source == "" {
		placeholder := strings.Trim(f.FormatPlaceHolder(), `"`)
		if f.IsBool() {
			placeholder = "true|false"
		}
		return fmt.Sprintf("# %s: %s", f.Name, placeholder), nil
	}
	if f.Tag.Has("secret") {
		return fmt.Sprintf("# %s: a secret  # %s", f.Name, source), nil
	}
	text, shown, err := shown(f.Target)
	if err != nil {
		return "", fmt.Errorf("--%s: %w", f.Name, err)
	}
	if !shown {
		return fmt.Sprintf("# %s: %s  # %s, without its password", f.Name, text, source), nil
	}
	return fmt.Sprintf("%s: %s  # %s", f.Name, text, source), nil
}

// source says where a flag's value comes from; "" when it has none.
func (e *effective) source(f *kong.Flag) string {
	for _, p := range e.trace.Path {
		switch {
		case p.Flag != f:
		case !p.Resolved:
			return "--" + f.Name
		default:
			for _, s := range slices.Backward(e.files) {
				if v, ok := s.values[f]; ok {
					return fmt.Sprintf("%s:%d", s.file, v.line)
				}
			}
		}
	}
	if name, ok := setVariable(f); ok {
		return "$" + name
	}
	if f.HasDefault || f.Target.Kind() == reflect.Bool {
		return "default"
	}
	return ""
}

// shown is a value in YAML, on one line. The password of a URL is left out, and
// then whole is false.
func shown(v reflect.Value) (text string, whole bool, err error) {
	v = reflect.Indirect(v)
	node := &yaml.Node{Kind: yaml.ScalarNode}
	whole = true
	switch marshaler, ok := v.Interface().(encoding.TextMarshaler); {
	case ok:
		b, err := marshaler.MarshalText()
		if err != nil {
			return "", false, err
		}
		node.SetString(string(b))
	case v.Kind() == reflect.Slice:
		if err := node.Encode(v.Interface()); err != nil {
			return "", false, err
		}
		node.Style = yaml.FlowStyle
	case v.Kind() == reflect.String:
		s := v.String()
		if u, err := url.Parse(s); err == nil && u.User != nil {
			whole = u.Redacted() == s
			s = u.Redacted()
		}
		if err := node.Encode(s); err != nil {
			return "", false, err
		}
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
			node.Style = yaml.DoubleQuotedStyle
		}
	default:
		if err := node.Encode(v.Interface()); err != nil {
			return "", false, err
		}
	}
	b, err := yaml.Marshal(node)
	return strings.TrimSpace(string(b)), whole, err
}
