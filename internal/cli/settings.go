package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// configName is the file that is looked for when none is named.
const configName = "causerie.yaml"

// maxConfig is how many bytes a configuration file may have.
const maxConfig = 1 << 20

// configError is something wrong in a configuration file.
type configError struct {
	file    string
	line    int // 0: the file as a whole
	problem string
}

func (e *configError) Error() string {
	if e.line == 0 {
		return fmt.Sprintf("%s: %s", e.file, e.problem)
	}
	return fmt.Sprintf("%s:%d: %s", e.file, e.line, e.problem)
}

// setting is a flag's value in a file.
type setting struct {
	value any // as kong's mappers take it: a string, or a list
	line  int
}

// settings are what one configuration file says, as a resolver of kong's. Where
// kong would let a resolver win over the environment, it holds back.
type settings struct {
	file   string
	values map[*kong.Flag]setting
}

// Validate has nothing left to do: the whole file was checked when it was read.
func (s *settings) Validate(*kong.Application) error { return nil }

// Resolve is what the file says of a flag that is not on the command line.
func (s *settings) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	found, ok := s.values[flag]
	if _, set := setVariable(flag); !ok || set || displaced(ctx, flag) {
		return nil, nil
	}
	return found.value, nil
}

// displaced tells whether another flag, which excludes this one, is on the
// command line.
func displaced(ctx *kong.Context, flag *kong.Flag) bool {
	for _, p := range ctx.Path {
		if p.Flag == nil || p.Resolved || p.Flag == flag {
			continue
		}
		if slices.ContainsFunc(p.Flag.Xor, func(group string) bool { return slices.Contains(flag.Xor, group) }) {
			return true
		}
	}
	return false
}

// BeforeResolve reads the configuration files once kong knows which.
func (c *commands) BeforeResolve(k *kong.Kong, ctx *kong.Context) error {
	files, err := readConfiguration(k, ctx)
	for _, f := range files {
		ctx.AddResolver(f)
	}
	ctx.Bind(files)
	return err
}

// configFiles are the files that were read. Later ones win.
type configFiles []*settings

func (files configFiles) String() string {
	var names []string
	for _, f := range files {
		names = append(names, f.file)
	}
	return cmp.Or(strings.Join(names, ", then "), "no file")
}

// readConfiguration reads the file that --config names, or those that are where
// one is looked for.
func readConfiguration(k *kong.Kong, ctx *kong.Context) (configFiles, error) {
	named, err := configFlag(k, ctx)
	switch {
	case err != nil:
		return nil, err
	case named != nil && *named == "":
		return nil, nil
	case named != nil:
		s, err := openSettings(*named, k.Model)
		if err != nil {
			return nil, err
		}
		return configFiles{s}, nil
	}
	var files configFiles
	for _, path := range usualFiles() {
		s, err := openSettings(path, k.Model)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files = append(files, s)
	}
	return files, nil
}

// configFlag is the value of --config, nil if it is not given.
func configFlag(k *kong.Kong, ctx *kong.Context) (*string, error) {
	for _, f := range k.Model.Flags {
		if f.Name == "config" {
			named, _ := ctx.FlagValue(f).(*string)
			return named, nil
		}
	}
	return nil, errors.New("the command line has no --config")
}

// usualFiles are where a configuration is looked for, the weakest first.
func usualFiles() []string {
	files := []string{configName}
	if folder, err := os.UserConfigDir(); err == nil {
		files = append([]string{filepath.Join(folder, "causerie", configName)}, files...)
	}
	return files
}

func openSettings(path string, app *kong.Application) (_ *settings, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return readSettings(path, f, app)
}

// readSettings reads a configuration file and checks all of it, also what is
// meant for other commands than the one that runs.
func readSettings(file string, r io.Reader, app *kong.Application) (*settings, error) {
	s := &settings{file: file, values: make(map[*kong.Flag]setting)}
	text, err := io.ReadAll(io.LimitReader(r, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if len(text) > maxConfig {
		return nil, &configError{file, 0, fmt.Sprintf("has more than %d bytes", maxConfig)}
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	var document, more yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return s, nil // nothing, or comments only
	case err != nil:
		return nil, &configError{file, 0, strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, &configError{file, more.Line, "has more than one document"}
	}
	return s, s.section(app.Node, document.Content[0])
}

// section reads the part of a file that is for a command: its flags, those of
// commands below it, and their own sections, which win.
func (s *settings) section(n *kong.Node, y *yaml.Node) error {
	y = target(y)
	if y.Tag == "!!null" {
		return nil // a section whose lines are all comments
	}
	if y.Kind != yaml.MappingNode {
		return s.wrong(y, "%s must have keys with values", place(n))
	}
	lines := make(map[string]int)
	for i := 0; i < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		if before, ok := lines[key.Value]; ok {
			return s.wrong(key, "%q is there twice, first in line %d", key.Value, before)
		}
		lines[key.Value] = key.Line
		if child(n, key.Value) == nil {
			if err := s.flag(n, key, value); err != nil {
				return err
			}
		}
	}
	for i := 0; i < len(y.Content); i += 2 {
		if c := child(n, y.Content[i].Value); c != nil {
			if err := s.section(c, y.Content[i+1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// place is how errors call a section.
func place(n *kong.Node) string {
	if n.Parent == nil {
		return "the configuration"
	}
	return fmt.Sprintf("the section %q", n.Name)
}

func child(n *kong.Node, name string) *kong.Node {
	for _, c := range n.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// flag sets all flags that a key in a command's section means.
func (s *settings) flag(n *kong.Node, key, value *yaml.Node) error {
	flags := meant(n, key.Value)
	if len(flags) == 0 {
		hint := ""
		if name := strings.ToLower(strings.ReplaceAll(key.Value, "_", "-")); len(meant(n, name)) > 0 || child(n, name) != nil {
			hint = fmt.Sprintf("; is %q meant?", name)
		}
		return s.wrong(key, "%s has no key %q%s", place(n), key.Value, hint)
	}
	for _, f := range flags {
		v, err := s.value(f, key, target(value))
		if err != nil {
			return err
		}
		s.values[f] = setting{value: v, line: key.Line}
	}
	return nil
}

// meant are the flags of that name in a command and below it; at the top of a
// file, those of the commands whose flags mean the same.
func meant(n *kong.Node, name string) (flags []*kong.Flag) {
	under := []*kong.Node{n}
	if n.Parent == nil {
		under = slices.DeleteFunc(slices.Clone(n.Children), func(c *kong.Node) bool { return !c.Tag.Has("common") })
	}
	for _, c := range under {
		for f := range flagsUnder(c) {
			if f.Name == name && isSetting(f) {
				flags = append(flags, f)
			}
		}
	}
	return flags
}

// value reads a key's value as the flag would take it from the command line.
func (s *settings) value(f *kong.Flag, key, y *yaml.Node) (any, error) {
	var v any
	switch {
	case y.Tag == "!!null":
		return nil, s.wrong(key, "%q has no value", key.Value)
	case y.Kind == yaml.ScalarNode:
		v = y.Value
	case y.Kind == yaml.SequenceNode && f.IsSlice():
		list, err := s.list(f, key, y)
		if err != nil {
			return nil, err
		}
		v = list
	case f.IsSlice():
		return nil, s.wrong(key, "%q must be a value or a list of them", key.Value)
	default:
		return nil, s.wrong(key, "%q must be one value", key.Value)
	}
	into := reflect.New(f.Target.Type()).Elem()
	if into.Kind() == reflect.Pointer {
		into.Set(reflect.New(into.Type().Elem()))
	}
	scan := kong.Scan().PushTyped(v, kong.FlagValueToken)
	if err := f.Mapper.Decode(&kong.DecodeContext{Value: f.Value, Scan: scan}, into); err != nil {
		return nil, s.wrong(key, "%q: %v", key.Value, err)
	}
	return v, s.oneOf(f, key, into)
}

// list reads a list for a flag that may be given several times.
func (s *settings) list(f *kong.Flag, key, y *yaml.Node) ([]any, error) {
	list := []any{}
	for _, element := range y.Content {
		element = target(element)
		if element.Kind != yaml.ScalarNode || element.Tag == "!!null" {
			return nil, s.wrong(element, "%q: each element of the list must be one value", key.Value)
		}
		var v any = element.Value
		if kind := f.Target.Type().Elem().Kind(); kind != reflect.String && kind != reflect.Struct {
			if err := element.Decode(&v); err != nil {
				return nil, s.wrong(element, "%q: %v", key.Value, err)
			}
		}
		list = append(list, v)
	}
	return list, nil
}

// oneOf checks values of which only some make sense.
func (s *settings) oneOf(f *kong.Flag, key *yaml.Node, v reflect.Value) error {
	if f.Enum == "" {
		return nil
	}
	var given []string
	switch {
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			given = append(given, fmt.Sprint(v.Index(i)))
		}
	default:
		given = append(given, fmt.Sprint(reflect.Indirect(v)))
	}
	for _, g := range given {
		if !f.EnumMap()[g] {
			return s.wrong(key, "%q must be one of %s, not %q", key.Value, strings.Join(f.EnumSlice(), ", "), g)
		}
	}
	return nil
}

// target is what an alias stands for.
func target(y *yaml.Node) *yaml.Node {
	if y.Kind == yaml.AliasNode {
		return y.Alias
	}
	return y
}

func (s *settings) wrong(y *yaml.Node, format string, args ...any) error {
	return &configError{s.file, y.Line, fmt.Sprintf(format, args...)}
}
