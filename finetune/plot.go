package finetune

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image/color"
	"io"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"causerie/internal/durable"
)

// Names of the pictures of the training curve, in Out.
const (
	svgFile = "loss.svg"
	pngFile = "loss.png"
)

// pictures is the hook that draws the training curve.
type pictures struct {
	NoHook
	out string
}

// NewPictures returns a hook that draws the training curve of the run in the
// folder out, the losses of its steps and its validations, as loss.svg and
// loss.png: anew after each validation and at the end.
func NewPictures(out string) Hook { return &pictures{out: out} }

func (p *pictures) OnValidation(Validation) error { return p.draw() }
func (p *pictures) OnEnd(Result) error            { return p.draw() }

func (p *pictures) draw() error {
	err := DrawCurve(p.out)
	if err != nil {
		return fmt.Errorf("drawing the training curve: %w", err)
	}
	return nil
}

// DrawCurve draws the training curve of the run in a folder, from its
// metrics.jsonl, as loss.svg and loss.png beside it.
func DrawCurve(out string) (err error) {
	f, err := os.Open(filepath.Join(out, CurveFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	c, err := readCurve(f)
	if err != nil {
		return err
	}
	p, err := c.plot()
	if err != nil {
		return err
	}
	const width, height = 7 * vg.Inch, 4 * vg.Inch
	svg, png := vgsvg.New(width, height), vgimg.PngCanvas{Canvas: vgimg.New(width, height)}
	p.Draw(draw.New(svg))
	p.Draw(draw.New(png))
	return errors.Join(
		writePicture(filepath.Join(out, svgFile), svg),
		writePicture(filepath.Join(out, pngFile), png))
}

// writePicture replaces a file at once.
func writePicture(path string, w io.WriterTo) error {
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		return err
	}
	partial := filepath.Join(filepath.Dir(path), durable.PartialPrefix+filepath.Base(path))
	if err := os.WriteFile(partial, b.Bytes(), 0o644); err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	return os.Rename(partial, path)
}

// points are the losses of a training curve over its steps.
type points struct {
	training, validation plotter.XYs
	pairs                bool // the losses are of pairs, not of tokens
}

// readCurve reads a metrics.jsonl. A last line that a killed run left behind
// half written is not read.
func readCurve(r io.Reader) (c points, err error) {
	for b := bufio.NewReader(r); ; {
		line, err := b.ReadBytes('\n')
		if err == io.EOF {
			return c, nil
		}
		if err != nil {
			return c, err
		}
		var event struct {
			Event   string          `json:"event"`
			Step    int             `json:"step"`
			Loss    float64         `json:"loss"`
			Rewards json.RawMessage `json:"rewards"`
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return c, fmt.Errorf("a line of the training curve: %w", err)
		}
		c.pairs = c.pairs || event.Rewards != nil
		at := plotter.XY{X: float64(event.Step), Y: event.Loss}
		switch event.Event {
		case EventStep:
			c.training = append(c.training, at)
		case EventValidation:
			c.validation = append(c.validation, at)
		}
	}
}

// smooth averages each point with those before it, of which the last dozen
// count most: the loss of a single step says little.
func smooth(list plotter.XYs) plotter.XYs {
	const mix = 0.08
	out, mean := make(plotter.XYs, len(list)), 0.0
	for i, at := range list {
		mean += max(mix, 1/float64(i+1)) * (at.Y - mean)
		out[i] = plotter.XY{X: at.X, Y: mean}
	}
	return out
}

func (c points) plot() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "Loss"
	p.X.Label.Text, p.Y.Label.Text = "step", "nats per token"
	if c.pairs {
		p.Y.Label.Text = "nats per pair"
	}
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	pale, dark, blue := color.Gray{0xcc}, color.Gray{0x55}, color.RGBA{0x1f, 0x77, 0xb4, 0xff}
	line := func(name string, xys plotter.XYs, c color.Color, width vg.Length) error {
		if len(xys) == 0 {
			return nil
		}
		l, err := plotter.NewLine(xys)
		if err != nil {
			return err
		}
		l.Color, l.Width = c, width
		p.Add(l)
		if name != "" {
			p.Legend.Add(name, l)
		}
		return nil
	}
	err := errors.Join(
		line("", c.training, pale, vg.Points(0.7)),
		line("training, averaged", smooth(c.training), dark, vg.Points(1.2)),
		line("validation", c.validation, blue, vg.Points(1.8)))
	return p, errors.Join(err, c.markBest(p, blue))
}

// markBest puts a dot on the lowest validation loss.
func (c points) markBest(p *plot.Plot, dot color.Color) error {
	if len(c.validation) == 0 {
		return nil
	}
	best := c.validation[0]
	for _, at := range c.validation {
		if at.Y < best.Y {
			best = at
		}
	}
	s, err := plotter.NewScatter(plotter.XYs{best})
	if err != nil {
		return err
	}
	s.GlyphStyle = draw.GlyphStyle{Color: dot, Radius: vg.Points(4), Shape: draw.CircleGlyph{}}
	p.Add(s)
	p.Legend.Add(fmt.Sprintf("best: %.3f at step %.0f", best.Y, best.X), s)
	return nil
}
