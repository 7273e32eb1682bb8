"""Reference values that need no model: GELU, softmax, losses, layer norm, sampling.

All numbers are float64, written with all digits. Inputs are first rounded to float32, so a float32 kernel gets exactly
the same inputs. make_goldens.py calls this file.
"""
import json
import math
import re

import numpy as np
import torch
import torch.nn.functional as F


def write_json(path, value):
    """Writes JSON with one list of numbers on each line."""
    text = json.dumps(value, indent=1, allow_nan=False)
    path.write_text(re.sub(r"\[[^\[\]{}]*\]", lambda m: json.dumps(json.loads(m.group())), text) + "\n")


def f32(values):
    return np.asarray(values, dtype=np.float32).astype(np.float64)


def softmax(logits):
    top = max(logits)
    exps = [math.exp(z - top) for z in logits]
    total = math.fsum(exps)
    return [e / total for e in exps]


# ---- functions -------------------------------------------------------------------------------------------------------

def gelu(x):
    """Value and derivative of 0.5 x (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3).

    0.5 (1 + tanh(u)) is the logistic function of 2u. In this form no digits are lost if tanh is near -1."""
    root = math.sqrt(2 / math.pi)
    u, du = root * (x + 0.044715 * x**3), root * (1 + 3 * 0.044715 * x**2)
    gate, rest = (1 / (1 + math.exp(-s * 2 * u)) if -s * 2 * u < 700 else 0.0 for s in (1, -1))  # rest is 1 - gate
    return x * gate, gate + x * gate * rest * 2 * du


def gelus():
    x = f32([0, -0.0, 1e-8, -1e-8, 1e-3, -0.1, 0.3, -0.5, 0.7, -0.75, -0.7524614, 1, -1, 1.7, -2, 2.5, -3, 4, -4.5, 5,
             -6, 8, -10, 20, -30])
    return {"x": list(x), "y": [gelu(z)[0] for z in x], "dy": [gelu(z)[1] for z in x]}


def softmax_rows():
    rows = [[0], [1, 1], [1, 2, 3, 4], [-1, 0.5, 2.25, -3.75, 0], [1000, 1001, 999.5], [-1000, -1001, -1000.25],
            [88, -88, 0], [0.01 * i * (-1)**i for i in range(17)], [30, 0, 0, 0, 0, 0, 0, 0, -30]]
    return [{"logits": list(f32(row)), "probs": softmax(f32(row))} for row in rows]


def cross_entropies():
    """Rows of logits. A row with target -1 does not count. `mean` is over the others, dlogits is its gradient."""
    rng = np.random.RandomState(5)
    cases = [([[1, 2, 3, 4]], [2]), ([[0.0] * 8], [5]), ([[50, 0, -50], [50, 0, -50]], [0, 2]),
             (2 * rng.standard_normal((4, 11)), [3, -1, 10, 0]), (1000 + rng.standard_normal((2, 5)), [4, -1])]
    result = []
    for logits, targets in cases:
        z = torch.tensor(f32(logits), requires_grad=True)
        y = torch.tensor(targets)
        mean = F.cross_entropy(z, y, ignore_index=-1)
        mean.backward()
        losses = F.cross_entropy(z, y, ignore_index=-1, reduction="none")
        result.append({"V": z.shape[1], "targets": targets, "logits": z.flatten().tolist(),
                       "losses": (losses + 0.0).tolist(), "mean": mean.item(), "dlogits": z.grad.flatten().tolist()})
    return result


def layernorms():
    """x is (N,C). The last case has a row of equal values (variance 0) and a row with large mean and small variance."""
    rng = np.random.RandomState(6)
    eps = 1e-5
    cases = [np.array([[1, 2, 3, 4]]), rng.standard_normal((2, 5)), rng.standard_normal((3, 11)),
             np.stack([np.full(9, 2.5), 1000 + 0.25 * np.arange(9)])]
    result = []
    for x in cases:
        N, C = x.shape
        x = torch.tensor(f32(x), requires_grad=True)
        weight = torch.tensor(f32(1 + 0.3 * rng.standard_normal(C)), requires_grad=True)
        bias = torch.tensor(f32(0.3 * rng.standard_normal(C)), requires_grad=True)
        dout = torch.tensor(f32(rng.standard_normal((N, C))))
        out = F.layer_norm(x, (C,), weight, bias, eps)
        out.backward(dout)
        arrays = {"x": x, "weight": weight, "bias": bias, "dout": dout, "out": out,
                  "mean": x.mean(1), "rstd": 1 / torch.sqrt(x.var(1, unbiased=False) + eps),
                  "dx": x.grad, "dweight": weight.grad, "dbias": bias.grad}
        flat = {name: a.detach().flatten().tolist() for name, a in arrays.items()}
        result.append({"N": N, "C": C, "eps": eps, **flat})
    return result


def numbers():
    return {"gelu": gelus(), "softmax": softmax_rows(), "cross_entropy": cross_entropies(), "layernorm": layernorms()}


# ---- sampling --------------------------------------------------------------------------------------------------------

def sampling_probs(logits, temperature, top_k, top_p):
    """Applies the temperature, keeps the top_k likeliest (0: all), then the fewest of these that reach top_p.

    top_p refers to the probabilities that were renormalised after top_k.

    Also returns by how much a probability may change before another token is kept. So sampling() can check that no
    case depends on the last bit."""
    probs = softmax([z / temperature for z in logits])
    order = sorted(range(len(probs)), key=lambda i: -probs[i])
    kept, margin = order, 1.0
    if 0 < top_k < len(order):
        kept = order[:top_k]
        margin = probs[order[top_k - 1]] - probs[order[top_k]]
    if top_p < 1:
        total, cumulative = math.fsum(probs[i] for i in kept), 0.0
        for n, i in enumerate(kept, start=1):
            cumulative += probs[i] / total
            margin = min(margin, abs(cumulative - top_p))
            if cumulative >= top_p:
                break
        kept = kept[:n]
    total = math.fsum(probs[i] for i in kept)
    return [probs[i] / total if i in kept else 0.0 for i in range(len(probs))], margin


def sampling():
    logits = {"words": [2.1, -0.5, -1.2, -2.0, 3.2, 2.8, 1.5, -10.0], "ascending": [0, 1, 2, 3, 4],
              "equal": [1.5] * 4, "peaked": [0, 20, 1],
              "large": [1000, 1001, 999, 0], "spread": list(f32(2 * np.random.RandomState(7).standard_normal(40)))}
    cases = [  # logits, temperature, top_k, top_p
        ("words", 1.0, 0, 1.0), ("words", 0.5, 0, 1.0), ("words", 2.0, 0, 1.0), ("words", 1.0, 3, 1.0),
        ("words", 1.0, 0, 0.8), ("words", 1.0, 3, 0.6), ("words", 0.7, 4, 0.9), ("words", 1.0, 1, 1.0),
        ("words", 1.0, 0, 0.01), ("words", 1.0, 100, 1.0), ("ascending", 1.0, 0, 0.9), ("ascending", 0.1, 0, 0.99),
        ("ascending", 10.0, 2, 0.4), ("ascending", 1.0, 2, 0.8), ("equal", 1.3, 0, 1.0), ("peaked", 1.0, 0, 0.5),
        ("peaked", 5.0, 2, 1.0), ("large", 1.0, 0, 1.0), ("large", 1.0, 0, 0.7), ("spread", 1.0, 0, 1.0),
        ("spread", 0.8, 10, 1.0), ("spread", 0.8, 0, 0.95), ("spread", 1.2, 20, 0.5)]
    result = []
    for name, temperature, top_k, top_p in cases:
        probs, margin = sampling_probs(logits[name], temperature, top_k, top_p)
        assert margin > 1e-4, (name, temperature, top_k, top_p, margin)
        result.append({"temperature": temperature, "top_k": top_k, "top_p": top_p,
                       "logits": logits[name], "probs": probs})
    return {"what": "probabilities after temperature, top-k (0: all), top-p (1: all); 0 is a token cut away",
            "cases": result}
