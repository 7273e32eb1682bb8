"""Writes gpt2_tokens.json: token ids of GPT-2 for some texts, and checksums of the ids of all code points.

    python3 gpt2_tokens.py FOLDER     (needs tiktoken and regex; made with tiktoken 0.14.0, whose Unicode is 17.0)

FOLDER has GPT-2's encoder.json and vocab.bpe. gpt2_tokenizer.bin holds the same tokens in llm.c's format. tiktoken
shares no code with inkling: it cuts the text with a regular expression and merges pairs by their ranks.
Each code point is encoded in four contexts: at the start, after a letter, after a blank, before a digit. The ids of
the contexts of 4096 code points together are hashed by FNV-1a, in 64 bits, so that the file stays small.
"""
import json
import pathlib
import sys

import tiktoken
from tiktoken.load import data_gym_to_mergeable_bpe_ranks

PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
TEXTS = [
    "", " ", "\n", "a", "The capital is Paris", "The capital of France is Paris.", "What is the capital of France?",
    "we love deep learning", "We are all humans born to make mistakes", "The cat sat on the mat",
    "Hello, world! It's 2026; we're   testing\t\ttabs\n\n\nand newlines  ",
    "don't I'll you've they'd he's I'm DON'T 'tis ''", "x = y**2 + 3.14159e-10; // C++20\n\tif (a<b) { return; }",
    "  leading and trailing  ", "\r\n\r\n", "a\u00a0b\u2003c\u3000d", "na\u00efve caf\u00e9 \u00fcber Stra\u00dfe",
    "\u4f60\u597d\uff0c\u4e16\u754c \u3053\u3093\u306b\u3061\u306f \uc548\ub155", "\u0440\u0443\u0441\u0441\u043a\u0438\u0439 \u0442\u0435\u043a\u0441\u0442",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 ok", "<|endoftext|>", "1234567890 12 345,678.90",
    "antidisestablishmentarianism floccinaucinihilipilification", "q" * 50, " " * 50, "^" * 50 + "a", "ab" * 40,
    "zzzz zzz zz z", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "e\u0301 combining", "\u2167 \u00bd \u0663",
]
BLOCK = 4096


def fnv1a(numbers):
    value = 0xCBF29CE484222325
    for number in numbers:
        value = (value ^ number) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def main():
    folder = pathlib.Path(sys.argv[1])
    ranks = data_gym_to_mergeable_bpe_ranks(str(folder / "vocab.bpe"), str(folder / "encoder.json"))
    gpt2 = tiktoken.Encoding("gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 50256})
    checksums = []
    for first in range(0, 0x110000, BLOCK):
        numbers = []
        for point in range(first, first + BLOCK):
            if 0xD800 <= point < 0xE000:
                continue
            c = chr(point)
            for text in (c, "a" + c, " " + c, c + "1"):
                ids = gpt2.encode_ordinary(text)
                numbers += [len(ids), *ids]
        checksums.append(f"{fnv1a(numbers):016x}")
    out = {
        "texts": [{"text": text, "ids": gpt2.encode_ordinary(text)} for text in TEXTS],
        "code_points_in_a_block": BLOCK,
        "checksums": checksums,
    }
    path = pathlib.Path(__file__).with_name("gpt2_tokens.json")
    path.write_text(json.dumps(out, indent=0) + "\n")


main()
