// Package hf reads and writes GPT-2 folders in Hugging Face's layout, so that
// models move between causerie and the Python library transformers unchanged.
//
// A folder holds
//
//	config.json                   the shape of the model         -> Config
//	model.safetensors             the weights, in one file
//	model.safetensors.index.json  or spread over several (shards)
//	generation_config.json        how to sample (may be absent)  -> Generation
//
// and the tokenizer's files, which are package tokenizer's.
//
// # Reading
//
//	folder, err := hf.OpenDir("path/to/model") // or hf.Open(fsys, "name") for any fs.FS
//	defer folder.Close()
//	model, err := gpt2.New(folder.Config.Model)
//	err = folder.LoadInto(model.Params())
//
// Open reads everything but the weights and checks all of it: a missing, an
// extra or an ill-shaped tensor, a truncated file, a setting that this GPT-2
// does not have. Errors name file, key or tensor, and all problems of a folder
// are reported together. Since the tensors were counted against the file's
// size by then, gpt2.New cannot be made to allocate more than the folder is
// worth. LoadInto then reads the weights into the model's memory, converting
// F16 and BF16 to float32 on the way and transposing where needed.
//
// # Names and shapes
//
// The tensors' names come with the prefix "transformer." (GPT2LMHeadModel) or
// without (GPT2Model). GPT-2's linear layers are what transformers calls
// Conv1D: their weights are stored [in, out]; ours are [out, in]. Older
// releases stored the causal mask too, as "attn.bias" and "attn.masked_bias";
// these are skipped. The LM head is mostly the token embedding again ("tied");
// then it need not be in the file, and has to be equal if it is.
//
// # Writing
//
// Save writes a folder that transformers loads, giving the same logits. Every
// file is complete or not there: it is written under another name, flushed to
// the disk, and renamed.
package hf
