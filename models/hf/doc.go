// Package hf reads and writes GPT-2 folders in Hugging Face's layout, so that
// models move between causerie and the Python library transformers unchanged. It
// also reads the folders of sentence encoders; see below.
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
// F16, BF16 and int8 to float32 on the way and transposing where needed.
//
// For serving, gpt2.NewFrozen instead of gpt2.New: then LoadInto lays the
// matrices out in the dtype that they are served in as it reads them. No float32
// model is ever in memory, only the packed weights and, for each core, some
// megabytes to work in: at most a strip of 1 KiB of every row of a matrix as
// stored, and the same transposed. What is BF16 in the file and in memory, or
// int8 in both, keeps its bits.
//
// Values are read with pread and packed at once, by all cores. A mapped file
// would be no faster to speak of, as every value is moved into a panel of the
// kernels' layout anyway, and would stay resident beside the packed weights; and
// a mapped file that is truncated ends the process. GPT-2 124M, file in the page
// cache, two cores of a virtual server (the weights alone: mean of 3 runs or more
// of "CAUSERIE_LONG=1 go test -run '^$' -bench Folder -benchtime 3x ./models/hf";
// whole processes: medians of 6, from their start to a first token, tokenizer
// included):
//
//	                   weights    process (spread)       peak memory
//	int8 file as int8   0.10 s     0.30 s (0.25 to 0.35)   189 MB, of which 128 are weights
//	bf16 file as bf16   0.27 s     0.46 s (0.42 to 0.53)   316 MB                  249
//	f32 file as int8    0.41 s     0.59 s (0.51 to 0.75)   193 MB                  128
//	f32 file as f32     0.80 s     0.62 s (0.46 to 0.84)   566 MB                  498
//
// The int8 file mapped instead of read: 0.09 s where pread took 0.12.
//
// # int8
//
// Folder.Store (and "causerie quantize") writes weights as 8-bit integers. Each
// matrix, that is each linear layer's weight, the token embedding and an LM head
// of its own, is an I8 tensor in the shape it always has ([in, out] for a Conv1D),
// beside it an F32 tensor <name>_scale [out], and
//
//	weight = int8 * scale of its output
//	scale  = max|weights of that output| / 127
//	int8   = weight * (127 / max|weights of that output|), to the nearest, ties to even
//
// in float32. The integers lie between -127 and 127: -128 is an error. Everything
// else (position embeddings, layer norms, biases) is F32. config.json has
//
//	"quantization_config": {"format": "causerie-int8", "version": 1, …}
//
// and the file's metadata the same format and version. There is no quant_method,
// because transformers would only warn of one it does not know and then take the
// integers for the weights; without one it refuses the folder. Store with F32
// makes an ordinary folder again, whose weights are the rounded ones.
//
// # Sentence encoders
//
// OpenEncoder and Encoder.Load read a BERT that transformers or
// sentence-transformers wrote:
//
//	config.json                        the shape of the network (model_type bert)
//	model.safetensors, or shards,      the weights; heads, pooler and buffers are
//	or pytorch_model.bin               passed over
//	modules.json                       Transformer, Pooling and perhaps Normalize;
//	                                   without it the mean of the tokens is taken
//	1_Pooling/config.json              cls, mean, max, mean_sqrt_len_tokens,
//	                                   weightedmean or lasttoken
//	sentence_bert_config.json,         how many tokens of a text count, and whether
//	tokenizer_config.json              it is lower-cased first
//	config_sentence_transformers.json  the default prompt, if there is one
//
// A pytorch_model.bin is a Python pickle. It is read with nlpodyssey's gopickle,
// which executes nothing of it, into safetensors in memory: for a moment that
// takes twice the weights.
//
// cybertron, nlpodyssey's library of BERTs on spago, reads its pickles with
// gopickle as well, and that is what is taken of it. Its converter does not know
// safetensors and skips every tensor that is not float32; its tokenizer neither
// takes accents off nor splits Chinese, so that ids differ from those a model was
// trained with; its network computes token by token (figures in
// docs/measurements.md).
//
// # Writing
//
// Save writes a folder that transformers loads, giving the same logits;
// Folder.Store writes what a folder holds in another dtype, a piece at a time,
// to the same bytes that loading and saving would give. Every
// file is complete or not there: it is written under another name, flushed to
// the disk, and renamed.
package hf
