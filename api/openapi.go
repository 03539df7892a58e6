package api

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// openapiYAML is the document that describes every route of this server. Tests
// hold the routes, the requests and the answers to it.
//
//go:embed openapi.yaml
var openapiYAML []byte

var openapiDocument = sync.OnceValues(func() (map[string]any, error) {
	var document map[string]any
	if err := yaml.Unmarshal(openapiYAML, &document); err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	return document, nil
})

var openapiJSON = sync.OnceValues(func() ([]byte, error) {
	document, err := openapiDocument()
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(document, "", " ")
})

// openapi answers GET /openapi.json.
func (s *Server) openapi(w http.ResponseWriter, _ *http.Request) error {
	document, err := openapiJSON()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(document) // there is nobody to tell of a client that left
	return nil
}

// operation is a line of the page for people.
type operation struct {
	Method, Path, Summary, Description string
}

// docsPage is plain HTML: no scripts, nothing from elsewhere.
var docsPage = template.Must(template.New("docs").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>causerie: API</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
code, pre { font-family: ui-monospace, monospace; background: #f3f3f0; padding: .1em .3em; border-radius: 4px }
pre { padding: 1em; overflow-x: auto }
table { border-collapse: collapse; width: 100% } td { padding: .4em .8em .4em 0; vertical-align: top; border-top: 1px solid #ddd }
td:first-child { width: 4.5em; font-weight: 600 } p { margin: .2em 0 }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #1b1b1b } code, pre { background: #2a2a2a } td { border-color: #444 } a { color: #8bf } }
</style>
</head>
<body>
<h1>causerie</h1>
<p>{{.Summary}} The whole of it is in <a href="/openapi.json">the OpenAPI document</a>.</p>
<pre>curl http://{{.Host}}/v1/chat/completions -H 'Content-Type: application/json' \
  -d '{"messages": [{"role": "user", "content": "hello"}]}'</pre>
{{range .Groups}}<h2>{{.Name}}</h2>
<p>{{.Description}}</p>
<table>
{{range .Operations}}<tr><td>{{.Method}}</td><td><code>{{.Path}}</code><p>{{.Summary}}</p>{{if .Description}}<p><small>{{.Description}}</small></p>{{end}}</td></tr>
{{end}}</table>
{{end}}</body>
</html>
`))

type docsGroup struct {
	Name, Description string
	Operations        []operation
}

// docs answers GET /docs.
func (s *Server) docs(w http.ResponseWriter, r *http.Request) error {
	document, err := openapiJSON()
	if err != nil {
		return err
	}
	page := struct {
		Summary, Host string
		Groups        []docsGroup
	}{Host: r.Host}
	if page.Summary, page.Groups, err = readGroups(document); err != nil {
		return err
	}
	var body bytes.Buffer
	if err := docsPage.Execute(&body, page); err != nil {
		return fmt.Errorf("making the page of the API: %w", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(body.Bytes()) // there is nobody to tell of a client that left
	return nil
}

// readGroups finds the operations of each tag, in the order of their paths.
func readGroups(document []byte) (summary string, groups []docsGroup, err error) {
	var d struct {
		Info  struct{ Summary string }
		Tags  []struct{ Name, Description string }
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(document, &d); err != nil {
		return "", nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	for _, tag := range d.Tags {
		group := docsGroup{Name: tag.Name, Description: tag.Description}
		for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
			for _, method := range []string{"post", "get", "delete"} {
				var o struct {
					Tags                 []string
					Summary, Description string
				}
				if raw := d.Paths[path][method]; raw == nil || json.Unmarshal(raw, &o) != nil || !slices.Contains(o.Tags, tag.Name) {
					continue
				}
				group.Operations = append(group.Operations, operation{strings.ToUpper(method), path, o.Summary, o.Description})
			}
		}
		groups = append(groups, group)
	}
	return d.Info.Summary, groups, nil
}
