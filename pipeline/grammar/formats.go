package grammar

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Parts of the expressions below.
const (
	day      = `(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))`
	date     = `[12]\d{3}-` + day
	clock    = `(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)`
	label    = `[A-Za-z0-9](?:[A-Za-z0-9-]{0,20}[A-Za-z0-9])?`
	host     = label + `(?:\.` + label + `){0,5}`
	octet    = `(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`
	amount   = `[1-9]\d{0,3}`
	timespan = `T(?:` + amount + `H(?:` + amount + `M)?(?:` + amount + `S)?|` + amount + `M(?:` + amount + `S)?|` + amount + `S)`
)

// formats are the strings that are written for a format: not all that are valid
// (no 29th of February, no long host names), but none that is not.
//
// Sources: RFC 3339 for dates, times and durations (appendix A), RFC 5321 for
// mailboxes, RFC 1123 for host names, RFC 4291 for addresses, RFC 9562 for UUIDs.
var formats = map[string]string{
	"date":      date,
	"time":      clock,
	"date-time": date + `T` + clock,
	"duration": `P(?:` + amount + `W|` + amount + `D(?:` + timespan + `)?|` + amount + `M(?:` + amount + `D)?(?:` + timespan + `)?|` +
		amount + `Y(?:` + amount + `M(?:` + amount + `D)?)?(?:` + timespan + `)?|` + timespan + `)`,
	"email":    `[A-Za-z0-9_%+-]{1,20}(?:\.[A-Za-z0-9_%+-]{1,20}){0,2}@` + label + `(?:\.` + label + `){1,4}`,
	"hostname": host,
	"ipv4":     octet + `(?:\.` + octet + `){3}`,
	"ipv6":     `[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){7}`,
	"uuid":     `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`,
	"uri":      `https?://` + host + `(?:/[A-Za-z0-9._~-]{0,40}){0,8}`,
}

func (c *compiler) format(name, path string, from, to int32) error {
	expression, ok := formats[name]
	if !ok {
		list := strings.Join(slices.Sorted(maps.Keys(formats)), ", ")
		return &SchemaError{path + "/format", fmt.Sprintf("%q is not supported; supported are %s", name, list)}
	}
	return c.pattern("^"+expression+"$", from, to)
}
