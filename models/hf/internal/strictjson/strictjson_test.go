package strictjson

import (
	"strings"
	"testing"
)

func TestObject(t *testing.T) {
	members, err := Object([]byte(" {\"b\": [1, 2],\n \"a\": {\"x\": null}, \"B\": 1}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Member{{"b", []byte("[1, 2]")}, {"a", []byte(`{"x": null}`)}, {"B", []byte("1")}}
	if len(members) != len(want) {
		t.Fatalf("got %d members, want %d", len(members), len(want))
	}
	for i := range want {
		if members[i].Key != want[i].Key || string(members[i].Value) != string(want[i].Value) {
			t.Errorf("member %d: got %q %s, want %q %s", i, members[i].Key, members[i].Value, want[i].Key, want[i].Value)
		}
	}
}

func TestObjectErrors(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{``, "ends early"},
		{`{"a": 1`, "ends early"},
		{`{"a": 1,`, "ends early"},
		{"{\n\"a\": 1,\n}", "line 3"},
		{"{\n\"a\": tru\n}", "line 2"},
		{`{1: 2}`, "line 1"},
		{`[1]`, "want a JSON object"},
		{`"text"`, "want a JSON object"},
		{`{"a": 1, "a": 2}`, `key "a" is there twice`},
		{`{"a": 1, "\u0061": 2}`, `key "a" is there twice`},
		{"{} \n{}", "line 2: something follows"},
		{`{} x`, "something follows"},
	} {
		_, err := Object([]byte(test.in))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", test.in, err, test.want)
		}
	}
}

func TestShow(t *testing.T) {
	if got := Show([]byte(" 12 ")); got != "12" {
		t.Errorf("got %q", got)
	}
	if got := Show([]byte(strings.Repeat("好", 30))); got != strings.Repeat("好", 13)+"…" {
		t.Errorf("got %q", got)
	}
}
