// Package lora trains, reads, writes and merges LoRA adapters (Hu et al. 2022,
// "LoRA: Low-Rank Adaptation of Large Language Models"): for some linear layers
// of a GPT-2 a pair of small matrices whose product is added to the layer's
// weight,
//
//	y = x·(W + alpha/r·B·A)ᵀ + b,  A [r, in], B [out, r].
//
// Only A and B are trained, so a fine-tuned model is a file of a few hundred
// kilobytes beside its base, and one base in memory serves any number of them:
// a [Set] holds adapters by name, and gpt2.Segment says which of them a
// sequence goes through.
//
//	a, err := lora.New(model.Config, lora.Config{Rank: 8}, seed)   // to train
//	a, err := lora.OpenDir("runs/mine", model.Config)              // to serve
//	err = r.Logits([]gpt2.Segment{{Tokens: ids, Adapter: a.Net}}, rows, logits)
//
// # The folder format
//
// Adapters are folders in the format of the Python library PEFT:
//
//	adapter_config.json         rank, alpha, the layers, the base -> Config
//	adapter_model.safetensors   base_model.model.transformer.h.0.attn.c_attn.lora_A.weight, …
//
// What PEFT writes is read here, and what is written here PEFT loads; the
// tests compare logits and gradients both ways. Of PEFT's many variants, those
// that compute the formula above are read (rank and alpha patterns, rank-
// stabilized scaling, any choice of layers); the others (DoRA, trained biases,
// whole modules beside the factors, …) are refused by name.
package lora
