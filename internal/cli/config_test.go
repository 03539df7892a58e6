package cli

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"causerie/api"
	"causerie/api/store"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

// TestMain keeps the configuration of whoever runs the tests out of them.
func TestMain(m *testing.M) {
	flag.Parse()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "CAUSERIE_") && name != "CAUSERIE_LONG" {
			os.Unsetenv(name)
		}
	}
	os.Setenv("CAUSERIE_CONFIG", "")
	os.Exit(m.Run())
}

// writeFile writes a file for a test and returns its path.
func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedence(t *testing.T) {
	for _, test := range []struct {
		name, file string
		env        map[string]string
		args       string
		want       string // must be a line of what config prints
	}{
		{"default", "", nil, "serve", "slots: 4  # default"},
		{"nothing", "", nil, "serve", "# data: DIR"},
		{"file, at the top", "slots: 5", nil, "serve", "slots: 5  # FILE:1"},
		{"file, in the section", "serve:\n  slots: 6", nil, "serve", "slots: 6  # FILE:2"},
		{"the section wins", "serve:\n  slots: 6\nslots: 5", nil, "serve", "slots: 6  # FILE:2"},
		{"a section for all below it", "keys:\n  data: d", nil, "keys list", "data: d  # FILE:2"},
		{"the innermost section wins", "keys:\n  list: {data: e}\n  data: d", nil, "keys list", "data: e  # FILE:2"},
		{"other commands' sections", "train:\n  threads: 6\nchat:\n  threads: 5", nil, "serve", "# threads: INT"},
		{"environment over file", "slots: 5", map[string]string{"CAUSERIE_SLOTS": "7"}, "serve", "slots: 7  # $CAUSERIE_SLOTS"},
		{"environment, by command", "", map[string]string{"CAUSERIE_TRAIN_ROWS": "7"}, "train", "rows: 7  # $CAUSERIE_TRAIN_ROWS"},
		{"flag over all", "slots: 5", map[string]string{"CAUSERIE_SLOTS": "7"}, "serve --slots 8", "slots: 8  # --slots"},
		{"a switch turned off in the file", "prefix-cache: false", nil, "serve", "prefix-cache: false  # FILE:1"},
		{"and on again by the environment", "prefix-cache: false", map[string]string{"CAUSERIE_PREFIX_CACHE": "1"}, "serve", "prefix-cache: true  # $CAUSERIE_PREFIX_CACHE"},
		{"a switch turned off by its flag", "auth: true", nil, "serve --no-auth", "auth: false  # --auth"},
		{"a switch without a default", "auth: false", nil, "serve", "auth: false  # FILE:1"},
		{"a list", "cors-origin: [a, \"b,c\"]", nil, "serve", "cors-origin: [a, 'b,c']  # FILE:1"},
		{"a list as on the command line", "cors-origin: a,b", nil, "serve", "cors-origin: [a, b]  # FILE:1"},
		{"a list of numbers", "bench: {streams: [1, 8]}", nil, "bench", "streams: [1, 8]  # FILE:1"},
		{"a list of what looks like numbers", "host: [1, 2]", nil, "serve", "host: [\"1\", \"2\"]  # FILE:1"},
		{"one of a list", "train: {data: a*5}", nil, "train", "data: [a*5]  # FILE:1"},
		{"a list is replaced, not added to", "stop: [a]", nil, "chat --stop b", "stop: [b]  # --stop"},
		{"a list of names and folders", "serve: {adapter: [a=b, 1=2]}", nil, "serve", "adapter: [a=b, 1=2]  # FILE:1"},
		{"a duration", "drain: 90s", nil, "serve", "drain: 1m30s  # FILE:1"},
		{"text on several lines", "system: |\n  be\n  kind", nil, "chat", `system: "be\nkind"  # FILE:1`},
		{"a type of its own", "train: {save-every: 500}", nil, "train", "save-every: \"500\"  # FILE:1"},
		{"an alias", "threads: &n 3\nslots: *n", nil, "serve", "slots: 3  # FILE:2"},
		{"what a flag excludes", "train: {model: m}", nil, "train --tokenizer t", "# model: DIR"},
		{"an empty section", "serve:\n# slots: 5", nil, "serve", "slots: 4  # default"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := writeFile(t, t.TempDir(), "c.yaml", test.file)
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			code, out, errOut := run(t, "", append([]string{"--config", file, "config"}, strings.Fields(test.args)...)...)
			want := strings.ReplaceAll(test.want, "FILE", file)
			if found := strings.Contains(out, "  "+want+"\n"); code != exitOK || !found {
				t.Errorf("exit code %d, %s, no line %q in\n%s", code, errOut, want, out)
			}
		})
	}
}

// TestUsualFiles reads the file here and the user's, in that order of strength,
// for a command that runs.
func TestUsualFiles(t *testing.T) {
	here, home := t.TempDir(), t.TempDir()
	model := modelFolder(t)
	t.Chdir(here)
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
	t.Setenv("AppData", filepath.Join(home, ".config"))
	os.Unsetenv("CAUSERIE_CONFIG")
	defer os.Setenv("CAUSERIE_CONFIG", "")
	folder, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	if code, out, _ := run(t, "", "config"); code != exitOK || !strings.HasPrefix(out, "# causerie serve (no file)\n") {
		t.Errorf("without files: %d, %s", code, out)
	}
	users := writeFile(t, folder, "causerie/causerie.yaml", "slots: 5\nqueue: 6\nmodel: none\n")
	writeFile(t, here, "causerie.yaml", fmt.Sprintf("slots: 7\nmodel: %q\nchat: {max-tokens: 3, seed: 1}\n", model))
	_, out, _ := run(t, "", "config")
	for _, want := range []string{"slots: 7  # causerie.yaml:1\n", "queue: 6  # " + users + ":2\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no line %q in\n%s", want, out)
		}
	}
	_, byFile, errOut := run(t, "hello\n", "chat")
	_, byFlags, _ := run(t, "hello\n", "--config", "", "chat", "--model", model, "--max-tokens", "3", "--seed", "1")
	if byFile == "" || byFile != byFlags {
		t.Errorf("a chat by the file %q, by flags %q; %s", byFile, byFlags, errOut)
	}
	if code, out, _ := run(t, "", "config", "chat", "--config", ""); code != exitOK || !strings.Contains(out, "model: default  # default") {
		t.Errorf("a file that was not wanted: %d, %s", code, out)
	}
}

func TestBadFiles(t *testing.T) {
	for _, test := range []struct{ file, want string }{
		{"slotts: 5", `FILE:1: the configuration has no key "slotts"`},
		{"serve:\n  kv_memory: 5", `FILE:2: the section "serve" has no key "kv_memory"; is "kv-memory" meant?`},
		{"slots: 5\n\nslots: 6", `FILE:3: "slots" is there twice, first in line 1`},
		{"slots: many", `FILE:1: "slots": expected a valid 64 bit int but got "many"`},
		{"slots: [1, 2]", `FILE:1: "slots" must be one value`},
		{"slots: {a: 1}", `FILE:1: "slots" must be one value`},
		{"host: {a: 1}", `FILE:1: "host" must be a value or a list of them`},
		{"host: [a, [b]]", `FILE:1: "host": each element of the list must be one value`},
		{"host: [a, ~]", `FILE:1: "host": each element of the list must be one value`},
		{"drain: soon", `FILE:1: "drain": expected duration but got "soon"`},
		{"dtype: int4", `FILE:1: "dtype" must be one of auto, f32, bf16, int8, not "int4"`},
		{"slots:", `FILE:1: "slots" has no value`},
		{"serve: 5", `FILE:1: the section "serve" must have keys with values`},
		{"- 5", `FILE:1: the configuration must have keys with values`},
		{"train:\n  rows: few", `FILE:2: "rows": expected a valid 64 bit int but got "few"`},
		{"rows: 5", `FILE:1: the configuration has no key "rows"`},
		{"prompt: hello", `FILE:1: the configuration has no key "prompt"`},
		{"version: true", `FILE:1: the configuration has no key "version"`},
		{"serve: &a\n  slots: *a", `FILE:2: "slots" must be one value`},
		{"slots: 5\n---\nslots: 6", `FILE:2: has more than one document`},
		{"slots: \"5", `FILE: `},
		{"\xff", `FILE: `},
		{"# " + strings.Repeat("x", maxConfig), `FILE: has more than 1048576 bytes`},
	} {
		file := writeFile(t, t.TempDir(), "c.yaml", test.file)
		want := "causerie: " + strings.ReplaceAll(test.want, "FILE", file)
		for _, args := range [][]string{{"config"}, {"config", "--check", "chat"}, {"keys", "list", "--data", t.TempDir()}} {
			code, out, errOut := run(t, "", append([]string{"--config", file}, args...)...)
			if code != exitUsage || out != "" || !strings.HasPrefix(errOut, want) {
				t.Errorf("%.40q, %v: exit code %d, %q, want %q", test.file, args, code, errOut, want)
			}
		}
	}
	// Help and version are there whatever the file says.
	file := writeFile(t, t.TempDir(), "c.yaml", "no: no")
	for _, args := range [][]string{{"--help"}, {"serve", "--help"}, {"--version"}} {
		if code, out, errOut := run(t, "", append([]string{"--config", file}, args...)...); code != exitOK || out == "" {
			t.Errorf("%v: exit code %d, %s", args, code, errOut)
		}
	}
	if code, _, errOut := run(t, "", "--config", filepath.Join(t.TempDir(), "none.yaml"), "config"); code != exitUsage || !strings.Contains(errOut, "none.yaml") {
		t.Errorf("a file that is not there: exit code %d, %s", code, errOut)
	}
}

func TestConfigCheck(t *testing.T) {
	for _, test := range []struct {
		args string
		env  string // the value of CAUSERIE_SLOTS
		code int
		want string
	}{
		{"", "4", exitOK, "The configuration of causerie serve is good (no file)."},
		{"serve --listen 0.0.0.0:80", "4", exitUsage, "API keys are needed"},
		{"serve --drain=-1s", "4", exitFailure, "the drain time -1s is negative"},
		{"serve --kv-memory=-1", "4", exitUsage, "--kv-bytes must not be negative"},
		{"serve", "many", exitUsage, `(from envar CAUSERIE_SLOTS="many")`},
		{"train", "4", exitUsage, "missing flags: --data=FILE, --out=DIR"},
		{"dance", "4", exitUsage, "unexpected argument dance"},
		{"serve --dance", "4", exitUsage, "unknown flag --dance"},
	} {
		t.Setenv("CAUSERIE_SLOTS", test.env)
		t.Setenv("CAUSERIE_SLOTTS", "1")
		code, out, errOut := run(t, "", append([]string{"config", "--check"}, strings.Fields(test.args)...)...)
		if code != test.code || out != "" || !strings.Contains(errOut, test.want) {
			t.Errorf("%s: exit code %d, %s", test.args, code, errOut)
		}
		if code == exitOK && !strings.Contains(errOut, "the variable CAUSERIE_SLOTTS sets nothing") {
			t.Errorf("%s: nothing is said of the misspelt variable: %s", test.args, errOut)
		}
	}
}

// TestConfigIsAFile reads back what is printed for every command, with every
// flag set, and finds the same values.
func TestConfigIsAFile(t *testing.T) {
	parser, err := newParser(t.Context(), &IO{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range leaves(parser.Model.Node) {
		var names []string
		for _, n := range lineage(command) {
			names = append(names, n.Name)
		}
		_, first, _ := run(t, "", append([]string{"config"}, names...)...)
		file := writeFile(t, t.TempDir(), "c.yaml", first)
		code, second, errOut := run(t, "", append([]string{"--config", file, "config"}, names...)...)
		if a, b := withoutSources(first), withoutSources(second); code != exitOK || a != b {
			t.Errorf("%v: exit code %d, %s%s", names, code, errOut, cmp.Diff(a, b))
		}
	}
}

func leaves(n *kong.Node) (list []*kong.Node) {
	if len(n.Children) == 0 {
		return []*kong.Node{n}
	}
	for _, c := range n.Children {
		list = append(list, leaves(c)...)
	}
	return list
}

func withoutSources(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "  # ")
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines[1:], "\n")
}

func TestConfigHidesSecrets(t *testing.T) {
	const secret = "hush5ecret"
	file := writeFile(t, t.TempDir(), "c.yaml", "bench: {against-key: "+secret+", against: \"http://user:"+secret+"@example.org/\"}")
	code, out, errOut := run(t, "", "--config", file, "config", "bench")
	if code != exitOK || strings.Contains(out+errOut, secret) || !strings.Contains(out, "# against-key: a secret  # "+file+":1") || !strings.Contains(out, "user:xxxxx@") {
		t.Errorf("exit code %d, %s%s", code, out, errOut)
	}
	t.Setenv("CAUSERIE_BENCH_AGAINST_KEY", secret)
	if _, out, _ = run(t, "", "config", "bench"); strings.Contains(out, secret) || !strings.Contains(out, "$CAUSERIE_BENCH_AGAINST_KEY") {
		t.Error(out)
	}
}

// TestSecretsAreMarked holds flags that sound like secrets to the tag.
func TestSecretsAreMarked(t *testing.T) {
	parser, err := newParser(t.Context(), &IO{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]bool{"tls-key": true} // where a secret is, not what it is
	for f := range flagsUnder(parser.Model.Node) {
		for _, word := range []string{"key", "secret", "password", "credential"} {
			if strings.Contains(f.Name, word) && !f.Tag.Has("secret") && !files[f.Name] {
				t.Errorf("--%s sounds like a secret and has no tag secret", f.Name)
			}
		}
	}
}

// TestServeReachesEveryOption sets every flag of serve and finds no option of
// the server or the engine that stays at its zero value.
func TestServeReachesEveryOption(t *testing.T) {
	c := ServeCmd{Listen: "127.0.0.1:1"}
	fill(reflect.ValueOf(&c).Elem())
	c.DType, c.PrefixCache, c.Speculation = "int8", false, false
	c.TLSCert, c.TLSKey = "", ""
	served, err := c.options(zerolog.Nop(), new(store.Store))
	if err != nil {
		t.Fatal(err)
	}
	engine, err := c.engineOptions()
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := map[string]string{
		"Log":             "made of log-json and the terminal",
		"SpeculationRows": "nobody has needed another number yet",
		"Files":           "opened in the data folder", "Jobs": "opened there too", "Engines": "made with them, of max-loaded",
	}
	for _, o := range []reflect.Value{reflect.ValueOf(served), reflect.ValueOf(engine)} {
		for i := range o.NumField() {
			f := o.Type().Field(i)
			if f.IsExported() && isPlain(f.Type) && elsewhere[f.Name] == "" && o.Field(i).IsZero() {
				t.Errorf("no flag of serve sets %s.%s", o.Type(), f.Name)
			}
		}
	}
}

// isPlain tells settings from parts that the server is made of.
func isPlain(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Func, reflect.Interface:
		return false
	case reflect.Pointer:
		return t.Elem().Kind() != reflect.Struct
	}
	return true
}

// TestServeDefaults holds the flags' defaults to those of the options.
func TestServeDefaults(t *testing.T) {
	parser, err := newParser(t.Context(), &IO{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse([]string{"serve"})
	if err != nil {
		t.Fatal(err)
	}
	c := parsed.Selected().Target.Addr().Interface().(*ServeCmd)
	got, err := c.options(zerolog.Nop(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got.Hosts = nil // chosen by the address
	want := api.Options{Log: zerolog.Nop()}
	want.EnsureDefaults()
	got.EnsureDefaults()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("flags: %+v\noptions: %+v", got, want)
	}
}

// fill gives every field below v that kong could set a value other than zero.
func fill(v reflect.Value) {
	if v.Type() == reflect.TypeFor[namedFolder]() {
		v.Set(reflect.ValueOf(namedFolder{"a", "b"}))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	}
}

// FuzzSettings reads arbitrary files: values or one complaint, no panic.
func FuzzSettings(f *testing.F) {
	for _, seed := range []string{
		"", "slots: 5", "serve:\n  host: [a, b]\n  auth: no", "serve: &a\n  slots: *a", "a: &a [*a]", "bench: {streams: [1, 0x2, ~]}",
		"slots: !!binary aGk=", "? [a]\n: b", "<<: {slots: 1}", "keys: {create: {data: x}}\n---\n", "train: {save-every: 5m, eps: 1e-8}",
	} {
		f.Add([]byte(seed))
	}
	parser, err := newParser(f.Context(), &IO{}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := readSettings("c.yaml", strings.NewReader(string(text)), parser.Model)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "c.yaml:") {
				t.Errorf("the error does not say where: %v", err)
			}
			return
		}
		for f, v := range s.values {
			if v.line < 1 || !isSetting(f) {
				t.Errorf("--%s: %+v", f.Name, v)
			}
		}
	})
}
