package api

import (
	"encoding/json"
	"errors"
	"regexp"

	"causerie/pipeline/grammar"
)

// Fields of response_format, and of the schema in it.
var (
	formatFields = fields{served: []string{"type", "json_schema"}}
	schemaFields = fields{served: []string{"name", "description", "schema", "strict"}}
)

// schemaName is what OpenAI's specification lets a schema be called.
var schemaName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// parseFormat reads the form that a reply must have.
func (r *chatRequest) parseFormat(o object) error {
	if !o.has("response_format") {
		return nil
	}
	var format object
	if err := o.read("response_format", "response_format", &format); err != nil {
		return err
	}
	if err := formatFields.checkAt("response_format.", format); err != nil {
		return err
	}
	var kind string
	if err := format.read("response_format.type", "type", &kind); err != nil {
		return err
	}
	switch kind {
	case "text", "json_object":
		if format.has("json_schema") {
			return invalid("response_format.json_schema", "response_format.json_schema is only allowed when the type is json_schema")
		}
		if kind == "json_object" {
			r.form = grammar.JSONObject()
		}
		return nil
	case "json_schema":
		return r.parseSchema(format)
	case "":
		return invalid("response_format.type", "response_format.type is missing")
	}
	return invalid("response_format.type", "response_format.type is %q; it must be text, json_object or json_schema", kind)
}

// parseSchema reads a schema with its name. Replies hold to it whether it is
// called strict or not; the subset of JSON Schema is the same.
func (r *chatRequest) parseSchema(format object) error {
	if !format.has("json_schema") {
		return invalid("response_format.json_schema", "response_format.json_schema is missing")
	}
	var named struct {
		name, description string
		strict            bool
	}
	var o object
	const path = "response_format.json_schema"
	if err := format.read(path, "json_schema", &o); err != nil {
		return err
	}
	if err := schemaFields.checkAt(path+".", o); err != nil {
		return err
	}
	for name, dst := range map[string]any{"name": &named.name, "description": &named.description, "strict": &named.strict} {
		if err := o.read(path+"."+name, name, dst); err != nil {
			return err
		}
	}
	switch {
	case named.name == "":
		return invalid(path+".name", "%s.name is missing", path)
	case !schemaName.MatchString(named.name):
		return invalid(path+".name", "%s.name may have up to 64 letters, digits, underscores and dashes", path)
	case !o.has("schema"):
		r.form = grammar.JSONObject()
		return nil
	}
	return r.compile(named.name, o["schema"])
}

// compile makes the grammar of a schema.
func (r *chatRequest) compile(name string, schema json.RawMessage) (err error) {
	if r.form, err = grammar.Schema(schema); err == nil {
		return nil
	}
	if problem, ok := errors.AsType[*grammar.SchemaError](err); ok {
		e := invalid("response_format", "the schema %q cannot be used: %v", name, problem)
		e.Code = "invalid_json_schema"
		return e
	}
	return err
}
