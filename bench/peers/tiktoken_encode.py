"""Token ids of texts with tiktoken: what inkling_bench compares its tokenizer with.

usage: tiktoken_encode.py TOKENIZER TEXT...

TOKENIZER is GPT-2's tokenizer as a file of llm.c: a header of 256 int32 (h[2] the number of tokens), then for each token its
length as a byte, and its bytes. A token's id is its rank. tiktoken itself would download the same ranks. After a warm-up, a line
"ready" goes out. Then every line "run" on stdin is answered with the seconds of encoding all texts once, on one thread.
"""
import struct
import sys
import time

import tiktoken

PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""

data = open(sys.argv[1], "rb").read()
count = struct.unpack_from("<256i", data)[2]
ranks, at = {}, 1024
for rank in range(count):
    length = data[at]
    ranks[data[at + 1:at + 1 + length]] = rank
    at += 1 + length
end_of_text = ranks.pop(b"<|endoftext|>")
encoding = tiktoken.Encoding("gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": end_of_text})
texts = [open(path, encoding="utf-8").read() for path in sys.argv[2:]]


def encode():
    start = time.perf_counter()
    for text in texts:
        encoding.encode_ordinary(text)
    return time.perf_counter() - start


encode()
print("ready", flush=True)
for _ in sys.stdin:
    print(encode(), flush=True)
