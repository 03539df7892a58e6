package api

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// fields is what an endpoint knows of the fields of its request. A field that
// is none of these is refused as unknown: a reply that quietly lacks what was
// asked for is worse than an error.
type fields struct {
	// served are read by the handler.
	served []string
	// idle are accepted because no reply depends on them here: they speak of
	// accounts, prices and caches of a service.
	idle []string
	// refused are known and not supported, each with the values that ask for
	// nothing and are let through.
	refused map[string][]string
}

// idleKinds are what idle fields must be: a client that sends something else has
// made a mistake, whether a reply depends on it or not.
var idleKinds = map[string]string{
	"user": "a string", "safety_identifier": "a string", "prompt_cache_key": "a string", "prompt_cache_retention": "a string",
	"prompt_cache_options": "an object", "parallel_tool_calls": "a boolean",
}

// check refuses a request for the first field, by name, that cannot be served.
func (f *fields) check(o object) error { return f.checkAt("", o) }

// checkAt is check for an object inside the request.
func (f *fields) checkAt(path string, o object) error {
	for _, name := range slices.Sorted(maps.Keys(o)) {
		nothing, known := f.refused[name]
		switch {
		case slices.Contains(f.served, name), known && !o.has(name):
		case slices.Contains(f.idle, name):
			if want := idleKinds[name]; o.has(name) && kind(o[name]) != want {
				return invalid(path+name, "%s must be %s, not %s", path+name, want, kind(o[name]))
			}
		case !known:
			e := invalid(path+name, "%s is not a parameter that this server knows", path+name)
			e.Code = "unknown_parameter"
			return e
		case !slices.Contains(nothing, compact(o[name])):
			return unsupported(path+name, "%s is not supported by this server%s", path+name, except(nothing))
		}
	}
	return f.checkIdle(path, o)
}

// except says which values are let through.
func except(nothing []string) string {
	if len(nothing) == 0 {
		return ""
	}
	return ", except as " + strings.Join(nothing, " or ")
}

// checkIdle checks that idle fields are what they claim to be.
func (f *fields) checkIdle(path string, o object) error {
	for _, name := range f.idle {
		var err error
		switch name {
		case "prompt_cache_options":
			err = o.read(path+name, name, new(object))
		case "parallel_tool_calls":
			err = o.read(path+name, name, new(bool))
		default:
			err = o.read(path+name, name, new(string))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unsupported is a request for something that OpenAI's API has and this server
// has not.
func unsupported(param, format string, args ...any) *Error {
	e := invalid(param, format, args...)
	e.Code = "unsupported_parameter"
	return e
}

// compact is a JSON value in one spelling.
func compact(v json.RawMessage) string {
	var any any
	if json.Unmarshal(v, &any) != nil {
		return string(v)
	}
	b, err := json.Marshal(any)
	if err != nil {
		return string(v)
	}
	return string(b)
}
