package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is the version a release build sets:
//
//	go build -ldflags "-X causerie/internal/cli.release=v1.2.3"
var release = ""

// version describes the build in one line, for --version.
func version() string {
	v, revision, dirty := release, "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if v == "" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && len(s.Value) >= 12:
				revision = " " + s.Value[:12]
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = "+changes"
			}
		}
	}
	if v == "" || v == "(devel)" {
		v = "development"
	}
	return fmt.Sprintf("causerie %s%s%s %s %s/%s", v, revision, dirty, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
