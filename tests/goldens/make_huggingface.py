"""Writes the golden directories huggingface, huggingface_shards and huggingface_f16: GPT-2s that transformers has saved.

    python3 make_huggingface.py [output folder]     (needs torch, transformers and safetensors; made with PyTorch 2.15.0,
                                                     transformers 5.24.0 and safetensors 0.8.0)

Every directory has config.json, the weights, and expected.json with the numbers that transformers computes from them:
the logits of one text, and the ids that greedy generation appends to its first tokens. huggingface_shards has the same
weights as huggingface, in several files with a table. huggingface_f16 has them rounded to float16.

The weights come from numpy's legacy RandomState, whose streams never change. They are on purpose unlike a real
initialisation: no bias is zero, no norm weight is one, and attention is not uniform. So a matrix that is transposed by
mistake, also a square one, changes the logits by much more than the tolerance.
"""
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

V, T, L, NH, C = 101, 16, 2, 2, 16


def make_model():
    config = GPT2Config(vocab_size=V, n_positions=T, n_layer=L, n_head=NH, n_embd=C, bos_token_id=V - 1,
                        eos_token_id=V - 1)
    model = GPT2LMHeadModel(config).eval()
    rng = np.random.RandomState(20261126)
    with torch.no_grad():
        for name, weight in sorted(model.transformer.named_parameters()):
            is_norm_weight = "ln_" in name and name.endswith(".weight")
            values = rng.standard_normal(tuple(weight.shape)) * (0.1 if weight.dim() == 1 else 0.3) + is_norm_weight
            weight.copy_(torch.tensor(values, dtype=torch.float32))
    return model


def expected(model):
    rng = np.random.RandomState(7)
    ids = [V - 1] + [int(i) for i in rng.randint(V - 1, size=T - 1)]
    with torch.no_grad():
        logits = model.double()(torch.tensor([ids])).logits[0]
    prompt = ids[:4]
    text = list(prompt)
    while len(text) < T:
        with torch.no_grad():
            text.append(int(model(torch.tensor([text])).logits[0, -1].argmax()))
    return {"ids": ids, "logits": [[float(f"{x:.7g}") for x in row] for row in logits.tolist()], "prompt": prompt,
            "greedy": text[len(prompt):]}


def save(folder, model, **options):
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, **options)
    (folder / "generation_config.json").unlink()
    with open(folder / "expected.json", "w") as f:
        json.dump(expected(model), f)
        f.write("\n")
    print(folder, sum(path.stat().st_size for path in folder.iterdir()), "bytes:",
          *sorted(path.name for path in folder.iterdir()))


def main():
    torch.set_num_threads(1)
    out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    save(out / "huggingface", make_model())
    save(out / "huggingface_shards", make_model(), max_shard_size="15KB")
    save(out / "huggingface_f16", make_model().half())


if __name__ == "__main__":
    main()
