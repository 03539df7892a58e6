#!/usr/bin/env python3
"""Write the golden files of this package with Hugging Face's own tokenizers.

    go test -run TestTrainGolden -update .   # first: the vocabulary in bpe/
    python3 testdata/golden.py               # then: what transformers makes of it

Needs `pip install transformers tokenizers`. Everything here is written for the tests;
the vocabularies are made by this package or listed below.
"""

import json
import pathlib
import shutil
import tempfile

from tokenizers import Tokenizer
from transformers import AutoTokenizer, GPT2TokenizerFast

HERE = pathlib.Path(__file__).parent

TEXTS = [
    "",
    " ",
    "Hello, world!",
    "hello HELLO Hello",
    "  two  spaces,\n\n\tlines \r\n and an end  ",
    "I'll say it's what they've done; we're don't can't o'clock",
    "你好，世界！今天天气怎么样？",
    "中英mixed文字123，１２３，abc中文def",
    "emoji 😀 👩‍👩‍👧 🇨🇳 and more",
    "café Café CAFÉ cafe\u0301 naïve Ångström ÀÉÎÕÜ",
    "İstanbul ISTANBUL ıstanbul ß ẞ Σας ΣΑΣ",
    "\u3000ideographic\u3000space\u00a0nbsp\u2003em\u0085nel\u2028line",
    "control \x00\x01\x7f\u200b\ufeff\u200d characters \ufffd here",
    "punctuation: (a) [b] {c} <d> «e» “f” ‘g’ —h– …i 、j。k！",
    "symbols $1 +2 =3 ~4 ^5 `6 |7 ©8 €9",
    "[CLS] hello [SEP] [MASK] [UNK] [cls] [PAD]",
    "<|endoftext|>hello<|user|>你好<|end|><|USER|>",
    "unaffable unwanted runningly ##ing # ing",
    "x" * 100 + " " + "x" * 101,
    "字" * 60,
    "㐀㐁 𠀀𠀁 豈更 𫝀 ひらがな カタカナ 한국어",
    "हिन्दी ไทย العربية עברית",
    "tabs\tand\u000bvertical\u000cfeeds",
    "a.b,c!d?e ' f n't g's h've i're j'm do not",
    "hello world hello world hello world",
]

WORDPIECE_VOCAB = (
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    + list("abcdefghijklmnopqrstuvwxyz0123456789")
    + ["##" + c for c in "abcdefghijklmnopqrstuvwxyz0123456789"]
    + list("ABCDEFGHIJKLMNOPQRSTUVWXYZÀÉÎÕÜİ")
    + list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
    + list("，。！？、…—–“”‘’«»")
    + list("你好世界今天气怎么样中英文字豈更")
    + ["hello", "world", "##ing", "##s", "un", "##aff", "##able", "want", "##ed", "run"]
    + ["##n", "##ly", "Hello", "HELLO", "cafe", "café", "##é", "i̇", "##\u0307", "n't", "'s", "do", "not", "don"]
    + ["x" * 20, "##" + "x" * 20, "σας", "ß", "ひ", "##ら", "한", "국어", "हिन्दी", "हिनदी", "😀"]
)

WORDPIECE_CONFIGS = {
    "default": {},
    "cased": {"do_lower_case": False},
    "accents": {"do_lower_case": True, "strip_accents": False},
    "cased-stripped": {"do_lower_case": False, "strip_accents": True},
    "han-joined": {"tokenize_chinese_chars": False},
}


def cases(tokenizer):
    """Ids with special tokens as plain text and as themselves, and the text of both."""
    out = []
    for text in TEXTS:
        plain = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        special = tokenizer.encode(text, add_special_tokens=False)
        out.append({
            "text": text,
            "plain": plain,
            "special": special,
            "decoded": tokenizer.decode(special),
        })
    return out


def write(name, data):
    """One case or tokenizer a line."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    text = text.replace('},{"', '},\n{"').replace(':[{"', ':[\n{"')
    assert json.loads(text) == data
    (HERE / name).write_text(text + "\n", encoding="utf-8")


def wordpiece():
    (HERE / "wordpiece").mkdir(exist_ok=True)
    vocab = "\n".join(dict.fromkeys(WORDPIECE_VOCAB)) + "\n"
    (HERE / "wordpiece" / "vocab.txt").write_text(vocab, encoding="utf-8")
    golden = []
    for name, config in WORDPIECE_CONFIGS.items():
        with tempfile.TemporaryDirectory() as d:
            folder = pathlib.Path(d)
            shutil.copy(HERE / "wordpiece" / "vocab.txt", folder)
            config = {"tokenizer_class": "BertTokenizer", **config}
            (folder / "tokenizer_config.json").write_text(json.dumps(config))
            tokenizer = AutoTokenizer.from_pretrained(folder)
            saved = folder / "saved"
            tokenizer.save_pretrained(saved)
            golden.append({
                "name": name,
                "config": config,
                "tokenizer": json.loads((saved / "tokenizer.json").read_text(encoding="utf-8")),
                "cases": cases(tokenizer),
            })
    write("wordpiece.golden.json", golden)


def bpe_variants():
    """tokenizer.json with settings that the vocabulary in bpe/ does not use."""
    base = json.loads((HERE / "bpe" / "tokenizer.json").read_text(encoding="utf-8"))
    size = len(base["model"]["vocab"])

    def token(i, content, **flags):
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False, **flags}
        return {"id": size + i, "content": content, **flags}

    def prefix_space(t):
        t["pre_tokenizer"]["add_prefix_space"] = True

    def string_merges(t):
        t["model"]["merges"] = [" ".join(m) for m in t["model"]["merges"]]

    def added(t):
        t["added_tokens"] += [
            token(0, "hello wor"),
            token(1, "<mask>", special=True, lstrip=True),
            token(2, "<pad>", special=True, rstrip=True),
            token(3, "whole", single_word=True),
            token(4, "hello world", normalized=True),
            token(5, "世界"),
            token(6, "<both>", lstrip=True, rstrip=True),
            token(7, "<|end", special=True),
        ]

    def ignore_merges(t):
        # The last merge is forgotten, but its token remains.
        t["model"]["merges"].pop()
        t["model"]["ignore_merges"] = True

    def unknown(fuse):
        def change(t):
            # No entry holds the letter q, or the bytes of Japanese, any more.
            lost = {"q", "ã", "ģ"}
            t["model"]["merges"] = [m for m in t["model"]["merges"] if not lost & set("".join(m))]
            t["model"]["vocab"] = {k: v for k, v in t["model"]["vocab"].items() if not lost & set(k)}
            t["model"]["unk_token"] = "<|endoftext|>" if fuse is not None else None
            t["model"]["fuse_unk"] = bool(fuse)
        return change

    extra = [
        "hello world hello wor hello worl", "  <mask>  <mask> x <pad>  <pad> y <both>  <both>z", "whole wholes (whole) 你whole whole_",
        "a  <mask>", "<|end|> <|end <|endoftext|>", "世界你好世界", "quick qqq 日本 ひら q", " leading", "\nnewline", "the other",
    ]
    golden = []
    for name, change in {
        "prefix space": prefix_space,
        "string merges": string_merges,
        "added tokens": added,
        "ignore merges": ignore_merges,
        "bytes dropped": unknown(None),
        "bytes unknown": unknown(False),
        "bytes unknown, fused": unknown(True),
    }.items():
        t = json.loads(json.dumps(base))
        change(t)
        tokenizer = Tokenizer.from_str(json.dumps(t))
        out = []
        for text in TEXTS[:8] + extra:
            tokenizer.encode_special_tokens = True
            plain = tokenizer.encode(text, add_special_tokens=False).ids
            tokenizer.encode_special_tokens = False
            special = tokenizer.encode(text, add_special_tokens=False).ids
            out.append({
                "text": text,
                "plain": plain,
                "special": special,
                "decoded": None,  # Hugging Face decodes added tokens as if they were spelt
            })
        golden.append({"name": name, "tokenizer": t, "cases": out})
    write("bpe-variants.golden.json", golden)


def bpe():
    tokenizer = AutoTokenizer.from_pretrained(HERE / "bpe")
    golden = cases(tokenizer)
    # However transformers is asked, the ids must be the same.
    others = [GPT2TokenizerFast.from_pretrained(HERE / "bpe")]
    with tempfile.TemporaryDirectory() as d:
        for name in ["vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"]:
            shutil.copy(HERE / "bpe" / name, d)
        others.append(AutoTokenizer.from_pretrained(d))
        others.append(GPT2TokenizerFast.from_pretrained(d))
    for other in others:
        assert cases(other) == golden, type(other)
        assert other.eos_token == tokenizer.eos_token == "<|endoftext|>"
        assert len(other) == len(tokenizer)
    write("bpe.golden.json", golden)


if __name__ == "__main__":
    wordpiece()
    bpe()
    bpe_variants()
