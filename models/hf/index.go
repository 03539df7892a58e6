package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"causerie/models/hf/internal/strictjson"
	"causerie/models/hf/safetensors"
)

const (
	indexFile = "model.safetensors.index.json"
	maxIndex  = 64 << 20
)

var errNoIndex = errors.New("no index")

// openShards opens the files that the index names and checks that they hold
// just the tensors it says.
func (f *Folder) openShards(fsys fs.FS) error {
	data, err := readFile(fsys, f.Name, indexFile, maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return errNoIndex
	}
	if err != nil {
		return err
	}
	entries, err := parseIndex(data)
	if err != nil {
		return fmt.Errorf("%s: %w", f.weights, err)
	}
	shardOf := make(map[string]string, len(entries)) // tensor -> shard
	shards := make(map[string]*safetensors.File)
	for _, e := range entries {
		shardOf[e.tensor] = e.shard
		shard, ok := shards[e.shard]
		if !ok {
			if shard, err = f.openFile(fsys, e.shard); err != nil {
				return fmt.Errorf("%s names a file that cannot be read: %w", f.weights, err)
			}
			shards[e.shard] = shard
			if err := f.add(shard.Tensors()); err != nil {
				return err
			}
		}
		if _, ok := shard.Tensor(e.tensor); !ok {
			return fmt.Errorf("%s: tensor %s is not there, though %s says so", shard.Name(), e.tensor, f.weights)
		}
	}
	for _, t := range f.order {
		if _, ok := shardOf[t.Name]; !ok {
			return fmt.Errorf("%s: tensor %s is not listed in %s", t.File().Name(), t.Name, f.weights)
		}
	}
	return nil
}

// entry of an index: which shard a tensor is in.
type entry struct{ tensor, shard string }

// parseIndex reads {"weight_map": {"tensor": "file", …}, …} in its order.
func parseIndex(data []byte) ([]entry, error) {
	f, err := parseFields(data)
	if err != nil {
		return nil, err
	}
	raw := f.take("weight_map")
	if raw == nil {
		return nil, errors.New("weight_map: missing")
	}
	members, err := strictjson.Object(raw)
	if err != nil {
		return nil, fmt.Errorf("weight_map: %w", err)
	}
	entries := make([]entry, len(members))
	for i, m := range members {
		var shard *string
		if err := json.Unmarshal(m.Value, &shard); err != nil || shard == nil {
			return nil, fmt.Errorf("weight_map: %s: want the name of a file, not %s", m.Key, strictjson.Show(m.Value))
		}
		if !fs.ValidPath(*shard) || path.Ext(*shard) != ".safetensors" {
			return nil, fmt.Errorf("weight_map: %s: %q is not the name of a .safetensors file in this folder", m.Key, *shard)
		}
		entries[i] = entry{m.Key, *shard}
	}
	return entries, nil
}
