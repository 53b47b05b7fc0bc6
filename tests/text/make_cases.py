#!/usr/bin/env python3
"""Compares the token ids of generated texts with those of Hugging Face's CLIPTokenizer and ftfy.

usage: make_cases.py compare PROBE ENVIRONMENT [COUNT]   # COUNT texts, 20 000 unless given
       make_cases.py write ENVIRONMENT                   # writes tests/data/text/cases.json

ENVIRONMENT is a folder for a virtual environment with transformers and ftfy, made if need be. The texts are the same
in every run. ftfy also guesses at texts that were decoded with the wrong character set, which the library does not do:
texts that differ only because of such a guess are counted and pass.
Exit status: 0 all others equal, 1 differences (each is printed), 77 skipped because the packages cannot be had.
"""

import functools
import html.entities
import json
import os
import pathlib
import random
import subprocess
import sys
import unicodedata

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from oracle_environment import enter_environment

PACKAGES = ["transformers==4.57.6", "ftfy==6.2.3"]
DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
TOKENIZER = DATA / "golden" / "full" / "language_model" / "clip_tokenizer_4.16.2"
CASES = DATA / "text" / "cases.json"
CONTEXT_LENGTH = 77
COMMITTED_RANDOM_CASES = 170


# --- the texts -----------------------------------------------------------------------------------------------

PHRASES = """chest x-ray|pneumonia|pleural effusion, left side|CT of the abdomen (portal venous phase)|T2* FLAIR
MRI 1.5T brain|no acute cardiopulmonary process.|BI-RADS 4c|s/p CABG x3|SpO2 < 90 %|Grad-CAM|5 mm nodule; RUL
an image of a melanoma|it's the patient's 2nd scan|they've|DON'T|we'll|I'm|you're|he'd|HbA1c=7.2%|I-131
99mTc-MDP|Gleason 3+4=7|[redacted]|50 yo M, c/o SOB|1,200 cells/mm3|α-fetoprotein|β-hCG|µg/dL|37.5 °C|10⁻³
5 × 3 × 2 cm|≥ 3 mm|½ dose|Ménière's disease|Sjögren syndrome|Röntgen-Thorax|radiografía de tórax|naïve café
échographie du cœur|胸部X線写真|폐렴|легкие без патологии|ακτινογραφία ΘΩΡΑΚΑΣ|צילום חזה|صورة أشعة للصدر ٣|छाती का एक्स-रे
ภาพเอกซเรย์|İstanbul|Straße|ΟΔΟΣ|ǅungla|Ĳssel|ﬁbrosis|ﬂuid|diﬀuse|eﬃcient|waﬄe|ﬅ|ﬆ|ŉ|'ſ""".replace(
    "\n", "|"
).split("|")
EMOJI = ["🫁", "❤️", "👩‍⚕️", "👨🏽‍🔬", "🏳️‍🌈", "🇩🇪", "1️⃣", "©️", "👍🏿", "🩻", "🧠🦴", "☢️", "\u200d", "\ufe0f"]
SPECIAL = ["<|startoftext|>", "<|endoftext|>", "<|ENDOFTEXT|>", "<|StartOfText|>", "<|ſtartoftext|>", "<|endoftext", "|>", "<|"]
LIGATURES = list("ĲĳŉǄǅǆǇǈǉǊǋǌǱǲǳﬀﬁﬂﬃﬄﬅﬆ")
QUOTES = list("‘’‚‛“”„‟ʼ«»‹›`´'\"")
SPACES = ["\u00a0", "\u1680", "\u2003", "\u2009", "\u200b", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\r\n", "\n"]
MARKS = ["\u0300", "\u0301", "\u0308", "\u030a", "\u0327", "\u0345", "\u0323", "\u20d7", "\u3099", "\u0334"]
FORMAT = ["\u200e", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069", "\u206a", "\u206f", "\ufeff", "\ufff9", "\ufffc", "\ufffd"]
ANSI = ["\x1b[31m", "\x1b[0m", "\x1b[1;32;40m", "\x1b[2J", "\x1b[", "\x1b]0;t\x07", "\x1b[٣m", "\x1b[1;", "\x1b[?25l"]
WIDTH = list("ＸＲＡＹ１２３％（）＆；＃ａｂｃ＇＂ｱｶﾞﾊﾟ￠￥￦｡･￨￮")
WHOLE_ENTITIES = [
    "&lt;b&gt;", "&amp;amp;", "&amp;lt;", "&amp;amp;lt;", "&amp;#233;", "&AMP;", "&NTILDE;", "&EACUTE;", "&SZLIG;", "&GTDOT;",
    "&COPYSR;", "&Eacute;", "&eAcute;", "&nbsp;", "&NBSP;", "&apos;", "&APOS;", "&hellip;", "&ge;", "&plusmn;", "&micro;",
    "&MICRO;", "&fjlig;", "&NotEqualTilde;", "&nosuch;", "&;", "&#;", "&#x;", "&#0;", "&#146;", "&#x92;", "&#x80;", "&#129;",
    "&#59;", "&#x3b;", "&#x26;lt;", "&#38;amp;", "&#10;", "&#13;", "&#11;", "&#1;", "&#127;", "&#xD800;", "&#x110000;",
    "&#99999999;", "&#999999999999999999999999;", "&#xFFFE;", "&#xFDD0;", "&#xFEFF;", "&#8217;", "&#x1F9E0;", "&#X41;", "&#x4G;",
    "&#65a;", "& amp;", "&amp", "&copy", "&lt", "＆amp;", "&am\x00p;", "&ａmp;", "&#xFF06;amp;", "&CounterClockwiseContourIntegral;",
    "&DownLeftRightVector;", "&DoubleLongLeftRightArrow;", "&rightleftharpoons;", "&ccedil;&#x327;", "e&#x301;", "&#27;[31m",
]  # fmt: skip
NAMES = [name for name in sorted(html.entities.html5) if name.endswith(";")]
MOJIBAKE = ["Ã©", "â€™", "schÃ¶n", "Â°C", "Ã¢â‚¬â„¢", "Ð¿Ð½ÐµÐ²Ð¼Ð¾Ð½Ð¸Ñ", "cafÃ©", "Ã\x97", "â‰¥"]


def entity(rng):
    kind = rng.randrange(6)
    name = rng.choice(NAMES)
    if kind == 0:
        return rng.choice(WHOLE_ENTITIES)
    if kind == 1:
        return f"&{name.upper()}"
    if kind == 2:
        return f"&#{rng.choice([rng.randrange(0x100), code_point(rng)])};"
    if kind == 3:
        return f"&#x{rng.choice([rng.randrange(0x100), code_point(rng)]):X};"
    return "&" + "amp;" * rng.choice([0, 0, 1, 2, 3]) + name


def code_point(rng):
    """A character that every Unicode library of today knows; no surrogates."""
    while True:
        c = rng.choice([rng.randrange(0x250), rng.randrange(0x3000), rng.randrange(0xA000), rng.randrange(0x110000)])
        if unicodedata.ucd_3_2_0.category(chr(c)) not in ("Cn", "Cs"):
            return c


FRAGMENTS = [  # how often each is drawn, and how it is made
    (30, lambda rng: rng.choice(PHRASES)),
    (3, lambda rng: rng.choice(PHRASES).upper()),
    (10, entity),
    (4, lambda rng: chr(rng.randrange(0x20))),
    (2, lambda rng: chr(rng.randrange(0x7F, 0xA0))),
    (3, lambda rng: rng.choice(LIGATURES)),
    (3, lambda rng: "".join(rng.choices(WIDTH, k=rng.randrange(1, 5)))),
    (3, lambda rng: rng.choice("aeiouncAEO∑αкが") + "".join(rng.choices(MARKS, k=rng.randrange(1, 4)))),
    (4, lambda rng: rng.choice(EMOJI)),
    (3, lambda rng: rng.choice(SPECIAL)),
    (4, lambda rng: rng.choice(QUOTES)),
    (4, lambda rng: rng.choice(SPACES)),
    (2, lambda rng: rng.choice(FORMAT)),
    (2, lambda rng: rng.choice(ANSI)),
    (1, lambda rng: "".join(chr(code_point(rng)) for _ in range(rng.randrange(1, 4)))),
    (0.5, lambda rng: rng.choice(MOJIBAKE)),
]
WEIGHTS = [weight for weight, _ in FRAGMENTS]


def random_text(rng):
    parts = []
    for _ in range(rng.randrange(1, 9)):
        _, make = rng.choices(FRAGMENTS, WEIGHTS)[0]
        parts += [make(rng), rng.choice(["", " ", " "])]
    return "".join(parts).rstrip(" ") if rng.random() < 0.9 else "".join(parts)


def systematic_texts():
    """Each class once."""
    yield from ["", " ", "a", "a" * 400, "lung " * 100, "1" * 90]
    yield from PHRASES
    yield from (f"ct{chr(c)}of {chr(c)} lung" for c in [*range(0x20), *range(0x7F, 0xA1)])
    yield from (f"{c}x A{c}" for c in LIGATURES + QUOTES)
    yield from (f"a{c}b" for c in SPACES + FORMAT + EMOJI + ANSI + SPECIAL)
    yield from (f"é{c} !{c}" for c in MARKS)
    yield from (f"fish {c} chips" for c in WHOLE_ENTITIES)
    yield from ["".join(WIDTH), "&amp;\n<b>&amp;\n&amp;", "x <= 3 &amp; y", "&lt;|endoftext|&gt;", "a &amp; <|endoftext|> &amp;"]


def texts(count):
    rng = random.Random(20241009)
    listed = list(systematic_texts())
    return (listed + [random_text(rng) for _ in range(max(0, count - len(listed)))])[:count]


# --- the two tokenizers --------------------------------------------------------------------------------------


class Reference:
    def __init__(self):
        os.environ["HF_HUB_OFFLINE"] = "1"
        import ftfy
        from transformers import CLIPTokenizer

        self.fix_text = ftfy.fix_text
        self.tokenizer = CLIPTokenizer.from_pretrained(str(TOKENIZER))

    def ids(self, text, guess=True):
        self.tokenizer.fix_text = self.fix_text if guess else functools.partial(self.fix_text, fix_encoding=False)
        return self.tokenizer(text, truncation=True, max_length=CONTEXT_LENGTH)["input_ids"]


def ids_of_probe(probe, listed):
    lines = "".join(json.dumps(text) + "\n" for text in listed)
    printed = subprocess.run([probe, TOKENIZER], input=lines, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in printed.splitlines()]


def compare(probe, count):
    reference = Reference()
    listed = texts(count)
    guesses = wrong = 0
    for text, ids in zip(listed, ids_of_probe(probe, listed), strict=True):
        if ids == reference.ids(text):
            continue
        expected = reference.ids(text, guess=False)
        guesses += ids == expected
        if ids != expected:
            wrong += 1
            print(f"{text!a}\n  expected {expected}\n  found    {ids}")
    print(f"{guesses + wrong} of {len(listed)} texts differ, {guesses} of them by a guess at the character set")
    return 1 if wrong else 0


def write():
    reference = Reference()
    listed = texts(len(list(systematic_texts())) + COMMITTED_RANDOM_CASES)
    cases = [(text, reference.ids(text)) for text in listed]
    kept = [case for case in cases if case[1] == reference.ids(case[0], guess=False)]
    CASES.parent.mkdir(exist_ok=True)
    CASES.write_text("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in kept) + "\n]\n")
    print(f"{len(kept)} cases in {CASES}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) in (4, 5) and sys.argv[1] == "compare":
        enter_environment(pathlib.Path(sys.argv[3]), PACKAGES)
        sys.exit(compare(sys.argv[2], int(sys.argv[4]) if len(sys.argv) == 5 else 20_000))
    if len(sys.argv) == 3 and sys.argv[1] == "write":
        enter_environment(pathlib.Path(sys.argv[2]), PACKAGES)
        sys.exit(write())
    sys.exit(__doc__)
