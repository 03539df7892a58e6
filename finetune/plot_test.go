package finetune

import (
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPictures(t *testing.T) {
	o := smallOptions(t)
	if _, err := Train(t.Context(), o, NewPictures(o.Out)); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(filepath.Join(o.Out, "loss.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("loss.svg is no XML: %v", err)
		}
	}
	for _, want := range []string{"training, averaged", "validation", "best: ", "nats per token"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("loss.svg does not say %q", want)
		}
	}
	f, err := os.Open(filepath.Join(o.Out, "loss.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if size := picture.Bounds().Size(); size.X < 600 || size.Y < 300 {
		t.Errorf("loss.png is %v", size)
	}
}

func TestCurveOfAKilledRun(t *testing.T) {
	c, err := readCurve(strings.NewReader(`{"event":"validation","step":0,"loss":3}
{"event":"step","step":1,"loss":4}
{"event":"step","step":2,"loss":2}
{"event":"step","st`))
	if err != nil || len(c.training) != 2 || len(c.validation) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	if s := smooth(c.training); s[0].Y != 4 || s[1].Y != 3 {
		t.Errorf("smoothed %v", s)
	}
	if err := DrawCurve(t.TempDir()); err == nil {
		t.Error("drew a curve that is not there")
	}
	if _, err := readCurve(strings.NewReader("no JSON\n")); err == nil {
		t.Error("read a line that is no JSON")
	}
}
