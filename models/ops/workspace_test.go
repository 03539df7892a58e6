package ops

import (
	"testing"

	"causerie/models/kernels"
)

func TestWorkspaceReusesMemory(t *testing.T) {
	ws := NewWorkspace(nil)
	a := ws.New(10, 30)
	first := &a.data[0]
	b := ws.New(10, 30)
	if &b.data[0] == first {
		t.Fatal("two live tensors share memory")
	}
	a.release()
	if c := ws.New(9, 31); &c.data[0] != first {
		t.Error("released memory of the same class was not used again")
	}
	ws.Reset()
	seen := map[*float32]bool{}
	for range 4 {
		d := ws.New(10, 30)
		if seen[&d.data[0]] {
			t.Fatal("a buffer was given out twice after Reset")
		}
		seen[&d.data[0]] = true
	}
	if !seen[first] || !seen[&b.data[0]] {
		t.Error("Reset lost memory")
	}
}

func TestCapacityWastesAtMostAQuarter(t *testing.T) {
	last := 0
	for n := 1; n < 1<<20; n += 1 + n/97 {
		c := capacity(n)
		if c < n || c > 64 && c > n+n/4+1 {
			t.Fatalf("capacity(%d) = %d", n, c)
		}
		if c < last {
			t.Fatalf("capacity(%d) = %d is less than a smaller size's %d", n, c, last)
		}
		last = c
	}
}

func TestAccGradAdoptsThenAdds(t *testing.T) {
	ws := NewWorkspace(nil)
	x := ws.New(1, 3)
	g := ws.New(1, 3)
	copy(g.data, []float32{1, 2, 3})
	x.AccGrad(g)
	if x.grad != g {
		t.Fatal("the first gradient was not adopted")
	}
	x.AccGrad(g) // added in place by the operator already
	h := ws.New(1, 3)
	copy(h.data, []float32{10, 20, 30})
	x.AccGrad(h)
	compare(t, "gradient", x.Gradient(), []float64{11, 22, 33}, 0)
	x.ZeroGrad()
	if x.HasGrad() || x.Grad() != nil {
		t.Error("ZeroGrad left a gradient")
	}
}

func TestFrozenWeightKeepsItsRows(t *testing.T) {
	data := randoms(7*5, 1)
	want := append([]float32(nil), data...)
	p := NewParam(data, 7, 5)
	p.Freeze(nil, kernels.Float32)
	if !p.Frozen() || p.Values() != nil || p.Shape()[0] != 7 || p.Shape()[1] != 5 {
		t.Errorf("frozen: %v, values %v, shape %v", p.Frozen(), p.Values(), p.Shape())
	}
	row := make([]float32, 5)
	for i := range 7 {
		p.Row(i, row)
		for j, v := range row {
			if v != want[i*5+j] {
				t.Fatalf("row %d: %v, want %v", i, row, want[i*5:(i+1)*5])
			}
		}
	}
}
