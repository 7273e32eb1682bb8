"""Writes the golden files of this folder: the numbers that PyTorch computes for a small GPT-2.

    python3 make_goldens.py [output folder]     (needs torch and numpy; made with PyTorch 2.15.0 and numpy 2.4.6)

This file defines the model a second time, with PyTorch's layer_norm, gelu, softmax, cross_entropy, autograd and AdamW.
So the tests compare the C++ with code that shares nothing with it. Weights are float32, because the files store
float32. Everything else (logits, losses, gradients, optimizer steps) is computed in float64 and rounded to float32 only
if the file format needs it. So a golden number is the exact result, without the rounding errors of a float32 run. The
script also measures how far a float32 run of PyTorch differs from it and stores this as `float32_deviation`, which the
tolerances of the tests are based on. All random numbers come from numpy's legacy RandomState, whose streams never
change, so a second run writes the same files.

reference_numbers.py makes the files that need no model (numbers.json, sampling.json).
"""
import math
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from reference_numbers import numbers, sampling, write_json

# These sizes are difficult for vector code: C and the head size, 10, are not multiples of 4, and V is a prime.
maxT, V, L, NH, C = 24, 131, 2, 3, 30
Vp = (V + 127) // 128 * 128

HYPER = {"steps": 10, "lr": 1e-3, "betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1, "grad_clip": 1.0}
DECAYED = ["wte", "wpe", "qkvw", "attprojw", "fcw", "fcprojw"]


def shapes(maxT, L, C, Vp):
    """The 16 parameters in file order. All except the embeddings and the last norm are stacked over the L layers."""
    return {
        "wte": (Vp, C), "wpe": (maxT, C),
        "ln1w": (L, C), "ln1b": (L, C),
        "qkvw": (L, 3 * C, C), "qkvb": (L, 3 * C), "attprojw": (L, C, C), "attprojb": (L, C),
        "ln2w": (L, C), "ln2b": (L, C),
        "fcw": (L, 4 * C, C), "fcb": (L, 4 * C), "fcprojw": (L, C, 4 * C), "fcprojb": (L, C),
        "lnfw": (C,), "lnfb": (C,),
    }


# ---- the model -------------------------------------------------------------------------------------------------------

def forward(p, x, V, NH):
    """Parameters, tokens (B,T) -> logits (B,T,V). The head is wte's first V rows; the padding is not used."""
    B, T = x.shape
    L, C = p["ln1w"].shape
    causal = torch.ones(T, T, dtype=torch.bool).tril()
    h = p["wte"][x] + p["wpe"][:T]                                                       # (B,T,C)
    for l in range(L):
        n = F.layer_norm(h, (C,), p["ln1w"][l], p["ln1b"][l], eps=1e-5)
        qkv = n @ p["qkvw"][l].T + p["qkvb"][l]                                          # (B,T,3C)
        q, k, v = (s.view(B, T, NH, C // NH).transpose(1, 2) for s in qkv.split(C, dim=2))  # each (B,NH,T,HS)
        scores = q @ k.transpose(2, 3) / math.sqrt(C // NH)                              # (B,NH,T,T)
        att = scores.masked_fill(~causal, -math.inf).softmax(dim=3)
        out = (att @ v).transpose(1, 2).reshape(B, T, C)
        h = h + out @ p["attprojw"][l].T + p["attprojb"][l]
        n = F.layer_norm(h, (C,), p["ln2w"][l], p["ln2b"][l], eps=1e-5)
        fch = F.gelu(n @ p["fcw"][l].T + p["fcb"][l], approximate="tanh")                # (B,T,4C)
        h = h + fch @ p["fcprojw"][l].T + p["fcprojb"][l]
    h = F.layer_norm(h, (C,), p["lnfw"], p["lnfb"], eps=1e-5)
    return h @ p["wte"][:V].T                                                            # (B,T,V)


def loss_of(logits, y):
    """Mean cross-entropy over the targets that are not -1."""
    return F.cross_entropy(logits.flatten(0, 1), y.flatten(), ignore_index=-1)


def as_leaves(weights, dtype=torch.float64):
    return {name: torch.tensor(w, dtype=dtype, requires_grad=True) for name, w in weights.items()}


def forward_backward(p, x, y, V, NH):
    """Stores the gradient of each parameter in .grad and returns logits and loss."""
    for w in p.values():
        w.grad = None
    logits = forward(p, torch.tensor(x), V, NH)
    loss = loss_of(logits, torch.tensor(y))
    loss.backward()
    return logits.detach(), loss.item()


def train(weights, batches, V, NH, hyper=HYPER, dtype=torch.float64):
    """AdamW over batches of (x, y). Returns each step's loss and gradient norm before the update, and the weights."""
    p = as_leaves(weights, dtype)
    groups = [{"params": [w for name, w in p.items() if name in DECAYED], "weight_decay": hyper["weight_decay"]},
              {"params": [w for name, w in p.items() if name not in DECAYED], "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=hyper["lr"], betas=tuple(hyper["betas"]), eps=hyper["eps"], foreach=False)
    steps = []
    for x, y in batches:
        _, loss = forward_backward(p, x, y, V, NH)
        grad_norm = math.sqrt(sum(w.grad.double().square().sum().item() for w in p.values()))
        if grad_norm > hyper["grad_clip"]:
            for w in p.values():
                w.grad *= hyper["grad_clip"] / grad_norm
        adamw.step()
        steps.append({"loss": loss, "grad_norm": grad_norm})
    return steps, {name: w.detach().numpy() for name, w in p.items()}


def deviation(steps, after, steps32, after32):
    """Largest absolute differences of a float32 run, to one digit rounded up (later digits vary between machines).

    The key part of qkvb is reported separately. Its exact gradient is zero, because a constant added to every key
    changes all scores of a query by the same number. In float32 the gradient is rounding noise, and AdamW makes steps
    of nearly lr from it.
    """
    def largest(a, b):
        worst = float(np.max(np.abs(np.subtract(a, b, dtype=np.float64))))
        unit = 10.0 ** math.floor(math.log10(worst)) if worst > 0 else 1.0
        return float(f"{math.ceil(worst / unit) * unit:.0e}")

    def parts(params):
        q, k, v = np.split(params["qkvb"], 3, axis=1)
        return {**params, "qkvb": np.concatenate([q, v]), "qkvb_key": k}

    result = {key: largest([s[key] for s in steps], [s[key] for s in steps32]) for key in ("loss", "grad_norm")}
    after, after32 = parts(after), parts(after32)
    return {**result, "params": {name: largest(after[name], after32[name]) for name in after}}


# ---- the inputs of the model -----------------------------------------------------------------------------------------

def random_weights(rng):
    """On purpose unlike a real initialisation: no bias is zero, no norm weight is one, and attention is not uniform."""
    def normal(shape, std, mean=0.0):
        return (mean + std * rng.standard_normal(shape)).astype(np.float32)
    weights = {}
    for name, shape in shapes(maxT, L, C, Vp).items():
        if name in ("ln1w", "ln2w", "lnfw"):
            weights[name] = normal(shape, 0.1, mean=1.0)
        elif name in DECAYED:
            weights[name] = normal(shape, 0.2)
        else:
            weights[name] = normal(shape, 0.1)
    weights["wte"][V:] = 0.0
    # bfloat16 has 7 bits after the point. These numbers are ties, so they round to the even one (down, up, down, up).
    weights["lnfw"][:4] = [1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 5 * 2.0**-8, 1 + 7 * 2.0**-8]
    weights["lnfb"][:2] = [-(1 + 2.0**-8) / 8, -(1 + 3 * 2.0**-8) / 8]
    return weights


def random_batch(rng, B, T):
    """Rows of T+1 tokens. Small ids are likelier, so tokens repeat and their embedding gradients are added."""
    rows = (V * rng.random_sample((B, T + 1)) ** 2).astype(np.int64)
    rows[0, 0], rows[0, 1], rows[-1, -1] = V - 1, 0, V - 1
    return rows[:, :-1].copy(), rows[:, 1:].copy()


def structured_tokens(rng, ntok):
    """Documents that count up, each with its own stride. One token in ten is random. Each follows end-of-text (V-1)."""
    tokens = []
    while len(tokens) < ntok:
        length, start, stride = rng.randint(20, 60), rng.randint(V - 1), rng.randint(1, 6)
        document = [(start + i * stride) % (V - 1) for i in range(length)]
        noise = rng.random_sample(length) < 0.1
        tokens += [V - 1] + [rng.randint(V - 1) if bad else t for t, bad in zip(document, noise)]
    return np.array(tokens[:ntok], dtype=np.uint16)


# ---- files (llm.c's: a header of 256 int32, then data) ---------------------------------------------------------------

def header(*entries):
    h = np.zeros(256, dtype="<i4")
    h[:len(entries)] = entries
    return h.tobytes()


def bf16_bits(w):
    return torch.tensor(w, dtype=torch.float32).bfloat16().view(torch.int16)  # rounds to nearest, ties to even


def write_checkpoint(path, weights, bf16=False):
    with open(path, "wb") as f:
        f.write(header(20240326, 5 if bf16 else 3, maxT, V, L, NH, C, Vp))
        for w in weights.values():
            f.write(bf16_bits(w).numpy().tobytes() if bf16 else w.astype("<f4").tobytes())


def write_debug_state(path, weights, x, y):
    p = as_leaves(weights)
    logits, loss = forward_backward(p, x, y, V, NH)
    assert logits.shape == (*x.shape, V)
    with open(path, "wb") as f:
        f.write(header(20240327, 2, *x.shape))
        f.write(x.astype("<i4").tobytes() + y.astype("<i4").tobytes())
        f.write(logits.numpy().astype("<f4").tobytes() + np.float32(loss).tobytes())
        for w in p.values():
            f.write(w.grad.numpy().astype("<f4").tobytes())


def write_shard(path, tokens):
    with open(path, "wb") as f:
        f.write(header(20240520, 1, len(tokens)) + tokens.astype("<u2").tobytes())


# ---- the shuffled order of a data set --------------------------------------------------------------------------------

class Shuffler:
    """llm.c's shuffle: one MT19937 stream, seeded once, and Fisher-Yates from the last item to the first."""

    def __init__(self, seed):
        self.rng = np.random.RandomState(seed)

    def rand32(self):
        return int(self.rng.randint(0, 2**32, dtype=np.uint32))  # the full range: a number of the stream, unchanged

    def shuffle(self, items):
        for i in range(len(items) - 1, 0, -1):
            j = self.rand32() % (i + 1)
            items[i], items[j] = items[j], items[i]
        return items

    def epochs(self, nsamples, count):
        """nsamples: the number of samples of each shard. Yields for each epoch the shards, each with its samples.

        An epoch shuffles the shards starting from the order of the epoch before. The samples of a shard are shuffled
        starting from 0, 1, 2 and so on."""
        shard_order = list(range(len(nsamples)))
        for _ in range(count):
            self.shuffle(shard_order)
            yield [{"shard": s, "samples": self.shuffle(list(range(nsamples[s])))} for s in shard_order]


def shuffle_vectors():
    def starts_of_epochs(seed, nsamples, epochs, shown=8):
        return [visits[0]["samples"][:shown] for visits in Shuffler(seed).epochs([nsamples], epochs)]
    seeds_and_n = [(42, 10), (42, 1), (42, 2), (43, 10), (0, 17), (1234567, 64), (4294967295, 33), (42, 700)]
    seeds_and_shards = [(42, [7, 5]), (43, [7, 5]), (42, [3, 1, 4])]
    return {
        "permutations": [{"seed": seed, "n": n, "order": Shuffler(seed).shuffle(list(range(n)))}
                         for seed, n in seeds_and_n],
        "one_shard": [{"seed": 42, "nsamples": 1192, "epoch_starts": starts_of_epochs(42, 1192, 2)}],
        "shards": [{"seed": seed, "nsamples": nsamples, "epochs": list(Shuffler(seed).epochs(nsamples, 2))}
                   for seed, nsamples in seeds_and_shards],
    }


# ---- everything ------------------------------------------------------------------------------------------------------

def curve_batches(tokens, B, T, steps):
    """The shard's samples in order. Sample i is the B*T+1 tokens from i*B*T on. Targets are inputs shifted by one."""
    for i in range(steps):
        sample = tokens[i * B * T:(i + 1) * B * T + 1].astype(np.int64)
        yield sample[:-1].reshape(B, T), sample[1:].reshape(B, T)


def training_record(what, weights, batches):
    batches = list(batches)
    steps, after = train(weights, batches, V, NH)
    steps32, after32 = train(weights, batches, V, NH, dtype=torch.float32)
    record = {"what": what + "; loss and gradient norm before each update", "decayed": DECAYED, "hyper": HYPER,
              "trajectory": steps, "float32_deviation": deviation(steps, after, steps32, after32)}
    return record, after


def main():
    torch.set_num_threads(1)
    out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    rng = np.random.RandomState(20261121)
    weights = random_weights(rng)
    x, y = random_batch(rng, B=3, T=13)
    write_checkpoint(out / "small.bin", weights)
    write_checkpoint(out / "small_bf16.bin", weights, bf16=True)
    write_debug_state(out / "small_debug_state.bin", weights, x, y)

    masked_x, masked_y = random_batch(rng, B=2, T=maxT)
    masked_y[rng.random_sample(masked_y.shape) < 1 / 3] = -1
    masked_y[0, 0] = masked_y[-1, -1] = -1
    write_debug_state(out / "small_masked_debug_state.bin", weights, masked_x, masked_y)

    fixed = [(x, y)] * HYPER["steps"]
    record, after = training_record("AdamW from small.bin on one fixed batch (small_debug_state.bin's)", weights, fixed)
    write_checkpoint(out / "small_after10.bin", after)
    # The gradient norm is above 1.0 in all these steps. It is above this larger limit only in the first few steps.
    some_clipped = {**HYPER, "grad_clip": 2.4}
    record["some_clipped"] = {"hyper": some_clipped, "trajectory": train(weights, fixed, V, NH, some_clipped)[0]}
    rounded = as_leaves({name: bf16_bits(w).view(torch.bfloat16).float().numpy() for name, w in weights.items()})
    record["small_bf16_loss"] = forward_backward(rounded, x, y, V, NH)[1]
    write_json(out / "small_trajectory.json", record)

    B, T = 2, 16
    tokens = structured_tokens(rng, 3001)
    write_shard(out / "curve_tokens.bin", tokens)
    record, _ = training_record("AdamW from small.bin over curve_tokens.bin's first samples, in order", weights,
                                curve_batches(tokens, B, T, HYPER["steps"]))
    write_json(out / "curve.json", {"B": B, "T": T, **record})

    write_json(out / "shuffle_vectors.json", shuffle_vectors())
    write_json(out / "numbers.json", numbers())
    write_json(out / "sampling.json", sampling())


if __name__ == "__main__":
    main()
