package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// deployFiles are what people install causerie with.
var deployFiles = []string{"../../Dockerfile", "../../deploy/compose.yaml", "../../deploy/causerie.service", "../../docs/deploy.md"}

// TestDeployKnowsTheFlags finds every variable and flag that the files name among
// those there are.
func TestDeployKnowsTheFlags(t *testing.T) {
	parser, err := newParser(t.Context(), &IO{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	variables := map[string]bool{}
	for f := range flagsUnder(parser.Model.Node) {
		for _, name := range f.Tag.Envs {
			variables[name] = true
		}
	}
	for _, file := range deployFiles {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`CAUSERIE_[A-Z_]+`).FindAllString(string(text), -1) {
			if !variables[name] {
				t.Errorf("%s: no flag has the variable %s", file, name)
			}
		}
	}
}

// TestDeployConfiguration checks the configuration that docs/deploy.md shows.
func TestDeployConfiguration(t *testing.T) {
	text, err := os.ReadFile("../../docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "# /etc/causerie/causerie.yaml\n")
	shown, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("there is no configuration in it")
	}
	file := writeFile(t, t.TempDir(), "c.yaml", shown)
	if code, out, errOut := run(t, "", "--config", file, "config", "serve"); code != exitOK || strings.Count(out, file+":") != 5 {
		t.Errorf("exit code %d, %s%s", code, out, errOut)
	}
}

// TestComposeFile reads the compose file, with Docker's own eyes where it has
// the command for it.
func TestComposeFile(t *testing.T) {
	text, err := os.ReadFile("../../deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]struct {
			Build string
			Ports []string
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil || file.Services["causerie"].Build != ".." {
		t.Errorf("%+v, %v", file, err)
	}
	for name, service := range file.Services {
		for _, port := range service.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: the port %s is open to everybody", name, port)
			}
		}
	}
	if exec.Command("docker", "compose", "version").Run() != nil {
		t.Skip("there is no docker compose here")
	}
	if out, err := exec.Command("docker", "compose", "-f", "../../deploy/compose.yaml", "config", "--quiet").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestSystemdUnit has systemd check the unit, with a program at its path.
func TestSystemdUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd here")
	}
	text, err := os.ReadFile("../../deploy/causerie.service")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "causerie")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	unit := writeFile(t, dir, "causerie.service", string(bytes.ReplaceAll(text, []byte("/usr/local/bin/causerie"), []byte(program))))
	out, err := exec.Command(analyze, "verify", "--recursive-errors=no", "--man=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), "causerie.service:") {
		t.Errorf("%v: %s", err, out)
	}
}
