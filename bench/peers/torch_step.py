"""A training step of GPT-2, or one generated token, in PyTorch: what inkling_bench compares itself with.

The bench starts this in a process of its own, so that PyTorch's threads and ours are never awake at the same time. Here the
model is built, warmed and, where torch.compile works and is faster, compiled; then a line "ready" goes out. After that every
line "run" on stdin is answered with the seconds of one call, until stdin ends.

The model and the step are those of nn/gpt2.h and apps/run/trainer.cc: tied head over V padded to a multiple of 128, tanh GELU,
clipping at 1, AdamW. PyTorch's best settings as far as we know them: scaled_dot_product_attention, fused AdamW, gradients set
to None, for bf16 autocast with f32 weights in training and bf16 weights in generating.
"""
import argparse
import math
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, C, NH):
        super().__init__()
        self.NH = NH
        self.ln1, self.ln2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.qkv, self.attproj = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.fc, self.fcproj = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

    def forward(self, x, cache=None, position=0):
        B, T, C = x.shape
        q, k, v = (z.view(B, T, self.NH, C // self.NH).transpose(1, 2) for z in self.qkv(self.ln1(x)).split(C, dim=2))
        if cache is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:  # one token: (2, B, NH, maxT, HS)
            cache[0, :, :, position], cache[1, :, :, position] = k[:, :, 0], v[:, :, 0]
            y = F.scaled_dot_product_attention(q, cache[0, :, :, :position + 1], cache[1, :, :, :position + 1])
        x = x + self.attproj(y.transpose(1, 2).reshape(B, T, C))
        return x + self.fcproj(F.gelu(self.fc(self.ln2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self, L, NH, C, V, maxT):
        super().__init__()
        self.wte, self.wpe = nn.Embedding((V + 127) // 128 * 128, C), nn.Embedding(maxT, C)
        self.blocks = nn.ModuleList(Block(C, NH) for _ in range(L))
        self.lnf = nn.LayerNorm(C)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def hidden(self, ids, caches=None, position=0):
        x = self.wte(ids) + self.wpe(torch.arange(position, position + ids.shape[1]))
        for i, block in enumerate(self.blocks):
            x = block(x, None if caches is None else caches[i], position)
        return self.lnf(x)

    def loss(self, ids, targets):
        logits = F.linear(self.hidden(ids), self.wte.weight)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def training(args, model, compiled):
    """One step: forward, backward, clipping, AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    ids, targets = (torch.randint(args.vocab_size, (args.batch_size, args.seq_len)) for _ in range(2))
    loss_of = torch.compile(model.loss) if compiled else model.loss

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.precision == "bf16"):
            loss = loss_of(ids, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss

    return step


def generating(args, model, compiled):
    """One token of batch 1 after 256 others, the same place in the cache every time, as bench/model_bench.cc does."""
    position = 256
    dtype = torch.bfloat16 if args.precision == "bf16" else torch.float32
    model = model.to(dtype).eval()
    NH, C = args.heads, args.channels
    caches = [torch.randn(2, 1, NH, args.max_seq_len, C // NH).to(dtype) for _ in model.blocks]
    ids = torch.full((1, 1), 17)
    hidden = torch.compile(model.hidden, dynamic=True) if compiled else model.hidden

    @torch.inference_mode()
    def token():
        return F.linear(hidden(ids, caches, position)[:, -1], model.wte.weight)

    return token


def seconds(call, least=0.03):
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < least:
        call()
        calls += 1
    return (time.perf_counter() - start) / calls


def fastest(args):
    """The step as it is, or compiled if that works here and is faster."""
    make = training if args.what == "train" else generating
    best, best_seconds, how = None, math.inf, ""
    for compiled in (False, True):
        torch.manual_seed(1)
        try:
            call = make(args, GPT2(args.layers, args.heads, args.channels, args.vocab_size, args.max_seq_len), compiled)
            call()
            first = seconds(call)
            s = min([first] + [seconds(call) for _ in range(3 if first < 1 else 1)])
        except Exception as error:  # no compiler, or a graph it cannot do
            if not compiled:
                raise
            print(f"torch.compile: {type(error).__name__}: {str(error).splitlines()[0]}", file=sys.stderr)
            continue
        if s < best_seconds:
            best, best_seconds, how = call, s, "compiled" if compiled else "eager"
    return best, how


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["train", "generate"])
    for name in ("layers", "heads", "channels", "vocab-size", "max-seq-len", "batch-size", "seq-len", "threads"):
        parser.add_argument("--" + name, type=int, required=True)
    parser.add_argument("--precision", choices=["f32", "bf16"], required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    call, how = fastest(args)
    print("ready", how, flush=True)
    for _ in sys.stdin:
        call()
        print(seconds(call), flush=True)


main()
