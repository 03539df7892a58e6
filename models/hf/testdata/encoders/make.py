"""Makes the golden sentence encoders of this directory.

    python3 make.py            # needs torch, transformers, sentence-transformers, safetensors

Every folder is a tiny random BERT written by transformers or
sentence-transformers; golden.json beside it has what these libraries compute
from the stored weights in float64: token ids, hidden states, and the vectors
of sentence-transformers. Seeds are fixed: a second run with the same versions
writes the same files.

    mean     F32 safetensors, mean pooling, at most 16 tokens; tokenizer.json
    cls      F32 pytorch_model.bin of a BertForMaskedLM (prefix "bert.", a head,
             LayerNorm.gamma and beta); CLS pooling; vocab.txt only
    max      BF16 safetensors, max pooling, tanh GELU, cased, a default prompt
    plain    F16 pytorch_model.bin in PyTorch's old format; no modules.json
"""

import json
import pathlib
import shutil

import sentence_transformers
import torch
import transformers
from sentence_transformers import SentenceTransformer
from transformers import BertConfig, BertForMaskedLM, BertModel, BertTokenizerFast

try:
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
except ImportError:
    from sentence_transformers.models import Normalize, Pooling, Transformer

HERE = pathlib.Path(__file__).parent
VOCAB = (
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    + list("abcdefghijklmnopqrstuvwxyz0123456789,.!?'-()")
    + ["##" + c for c in "abcdefghijklmnopqrstuvwxyz0123456789"]
    + ["the", "cat", "sat", "on", "mat", "hello", "world", "how", "are", "you", "##ing", "##ed", "re", "##s", "the"[::-1]]
    + list("你好世界今天气很我们喜欢猫狗。，！？") + ["ñ", "é", "A", "B", "The", "🙂"]
)
VOCAB = list(dict.fromkeys(VOCAB))
TEXTS = [
    "hello world", "The cat sat on the mat.", "你好，世界！", "Café déjà-vu, naïve?", "how are you 🙂 今天天气很好",
    "  spaces\tand\nlines  ", "ABC abc", "x" * 120, "one two three four five six seven eight nine ten eleven twelve thirteen",
    "re-seated (cats)", "𠮷 unknown 漢", "İstanbul ﬁne ℌ",
]
LENGTHS = [1, 2, 7, 16, 24]


def random_weights(model, seed):
    """Weights large enough that attention is far from flat."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 2:
                p.normal_(0.0, 0.25)
            elif "LayerNorm" in name and name.endswith("weight"):
                p.normal_(1.0, 0.2)
            else:
                p.normal_(0.0, 0.1)
    return model.eval()


def config(**changes):
    values = dict(
        vocab_size=len(VOCAB), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=24, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )
    values.update(changes)
    return BertConfig(**values)


def tokenizer_into(folder, lower):
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n", encoding="utf-8")
    t = BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=lower, model_max_length=24)
    t.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n", encoding="utf-8")
    return t


def golden(folder, network, sentence, extra=None):
    """Ids and states of random segments, and the vectors of texts, in float64."""
    network = network.double().eval()
    g = torch.Generator().manual_seed(5)
    segments = []
    for i, n in enumerate(LENGTHS):
        ids = torch.randint(len(VOCAB), (n,), generator=g).tolist()
        types = [0] * (n - n // 3) + [1] * (n // 3) if i % 2 else [0] * n
        with torch.no_grad():
            hidden = network(torch.tensor([ids]), token_type_ids=torch.tensor([types])).last_hidden_state[0]
        segments.append(dict(tokens=ids, types=types, hidden=[[round(v, 9) for v in row] for row in hidden.tolist()]))
    sentence = sentence.double().eval()
    texts = []
    for text in TEXTS:
        vector = sentence.encode(text, normalize_embeddings=True).tolist()
        features = sentence.preprocess([sentence.prompts.get(sentence.default_prompt_name or "", "") + text])
        texts.append(dict(text=text, ids=features["input_ids"][0].tolist(), vector=[round(v, 9) for v in vector]))
    made_by = f"torch {torch.__version__}, transformers {transformers.__version__}, sentence-transformers {sentence_transformers.__version__}"
    (folder / "golden.json").write_text(
        json.dumps(dict(made_by=made_by, segments=segments, texts=texts), ensure_ascii=False) + "\n", encoding="utf-8")


def fresh(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def sentence_folder(folder, pooling, limit, normalize=True, **kwargs):
    """Turns a transformers folder into one of sentence-transformers."""
    work = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(work, ignore_errors=True)
    folder.rename(work)
    transformer = Transformer(str(work), max_seq_length=limit)
    modules = [transformer, Pooling(transformer.get_embedding_dimension(), pooling_mode=pooling)]
    if normalize:
        modules.append(Normalize())
    SentenceTransformer(modules=modules, device="cpu", **kwargs).save(str(folder), create_model_card=False)
    shutil.copy(work / "vocab.txt", folder / "vocab.txt")
    shutil.rmtree(work)


def make_mean():
    folder = fresh("mean")
    random_weights(BertModel(config()), 1).save_pretrained(folder)
    tokenizer_into(folder, lower=True)
    sentence_folder(folder, "mean", 16)
    golden(folder, BertModel.from_pretrained(folder, attn_implementation="eager"), SentenceTransformer(str(folder), device="cpu"))


def make_cls():
    folder = fresh("cls")
    cfg = config(num_attention_heads=2, layer_norm_eps=1e-6, architectures=["BertForMaskedLM"])
    model = random_weights(BertForMaskedLM(cfg), 2)
    model.save_pretrained(folder)
    tokenizer_into(folder, lower=True)
    sentence_folder(folder, "cls", 20, normalize=False)
    golden(folder, model.bert, SentenceTransformer(str(folder), device="cpu"))
    state = {k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v.float()
             for k, v in model.state_dict().items()}
    state["bert.embeddings.position_ids"] = torch.arange(24)[None]
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    (folder / "tokenizer.json").unlink()


def make_max():
    folder = fresh("max")
    random_weights(BertModel(config(hidden_act="gelu_new", type_vocab_size=3)), 3).to(torch.bfloat16).save_pretrained(folder)
    tokenizer_into(folder, lower=False)
    sentence_folder(folder, "max", 24, prompts={"query": "The "}, default_prompt_name="query")
    network = BertModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    sentence = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    golden(folder, network, sentence)


def make_plain():
    folder = fresh("plain")
    model = random_weights(BertModel(config(num_hidden_layers=1)), 4).half()
    model.save_pretrained(folder)
    tokenizer_into(folder, lower=True)
    network = BertModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    golden(folder, network, SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32}))
    torch.save(model.state_dict(), folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    (folder / "model.safetensors").unlink()


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    for make in (make_mean, make_cls, make_max, make_plain):
        make()
    for file in HERE.rglob("*.*"):
        if file.is_file():
            file.chmod(0o644)
