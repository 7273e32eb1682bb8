"""Checks what `inkling convert` writes with transformers, safetensors, gguf and llama.cpp. Run by hand:

    python3 check_convert.py INKLING MODEL.bin [TOKENIZER.bin]

INKLING is the binary, MODEL.bin a model in llm.c's format. Needs torch, transformers, safetensors, gguf, and for the
last check llama-cpp-python. Checks, in this order:
  1. transformers loads the directory without missing or unexpected tensors, also without the names' prefix.
  2. transformers' logits are the logits that PyTorch computes from MODEL.bin (the model in make_goldens.py), to 1e-4.
  3. safetensors reads the single file, and its tensors are the directory's.
  4. gguf reads the GGUF file; every tensor has the numbers of MODEL.bin.
  5. llama.cpp, transformers and inkling write the same greedy text from the same ids.
  6. If TOKENIZER.bin is given: the tokenizers of the directory and of the GGUF file give the same ids, also for text
     that is hard to cut, and all three programs continue a text with the same greedy text.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from gguf import GGUFReader
from llama_cpp import Llama
from safetensors.torch import load_file
from transformers import AutoTokenizer, GPT2LMHeadModel, GPT2Model

import make_goldens

TOLERANCE = 1e-4
TOKENS = 24  # of the greedy text


def read_checkpoint(path):
    """The dimensions, and the 16 tensors of the file as float32."""
    raw = Path(path).read_bytes()
    h = np.frombuffer(raw, dtype="<i4", count=256)
    maxT, V, L, NH, C, Vp = (int(x) for x in h[2:8])
    if h[1] == 3:
        flat = np.frombuffer(raw, dtype="<f4", offset=1024)
    else:
        flat = (np.frombuffer(raw, dtype="<u2", offset=1024).astype(np.uint32) << 16).view(np.float32)
    weights, at = {}, 0
    for name, shape in make_goldens.shapes(maxT, L, C, Vp).items():
        count = int(np.prod(shape))
        weights[name] = flat[at:at + count].reshape(shape)
        at += count
    assert at == len(flat)
    return {"maxT": maxT, "V": V, "L": L, "NH": NH, "C": C, "bf16": h[1] == 5}, weights


def check(what, ok, detail=""):
    print("ok  " if ok else "FAIL", what, detail)
    if not ok:
        sys.exit(1)


def convert(inkling, source, target, tokenizer):
    command = [inkling, "convert", "--from", str(source), "--to", str(target)]
    subprocess.run(command + (["--tokenizer", tokenizer] if tokenizer else []), check=True, stdout=subprocess.DEVNULL)


def text_of(dims):
    rng = np.random.RandomState(5)
    return [dims["V"] - 1] + [int(i) for i in rng.randint(dims["V"], size=min(dims["maxT"], 64) - 1)]


def check_transformers(directory, dims, weights):
    model, info = GPT2LMHeadModel.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    problems = {key: value for key, value in info.items() if value}
    check("GPT2LMHeadModel loads every tensor", not problems, str(problems or ""))
    _, info = GPT2Model.from_pretrained(directory, output_loading_info=True)
    problems = {key: value for key, value in info.items() if value}
    check("GPT2Model loads every tensor", not problems, str(problems or ""))
    ids = text_of(dims)
    params = {name: torch.tensor(np.array(w), dtype=torch.float64) for name, w in weights.items()}
    with torch.no_grad():
        want = make_goldens.forward(params, torch.tensor([ids]), dims["V"], dims["NH"])
        got = model(torch.tensor([ids])).logits.double()
    worst = (want - got).abs().max().item()
    check("transformers' logits", worst < TOLERANCE, f"largest difference {worst:.1e}, logits up to {want.abs().max():.1f}")
    return model


def check_gguf(path, dims, weights):
    reader = GGUFReader(path)
    fields = {key: reader.fields[key] for key in reader.fields}
    check("gguf reads the architecture", bytes(fields["general.architecture"].parts[-1]) == b"gpt2")
    for key, want in {"context_length": dims["maxT"], "embedding_length": dims["C"], "block_count": dims["L"],
                      "feed_forward_length": 4 * dims["C"], "attention.head_count": dims["NH"]}.items():
        check(f"gguf reads gpt2.{key}", int(fields["gpt2." + key].parts[-1][0]) == want, str(want))
    tensors = {t.name: t for t in reader.tensors}
    V = dims["V"]
    expected = {"token_embd.weight": weights["wte"][:V], "output.weight": weights["wte"][:V],
                "position_embd.weight": weights["wpe"], "output_norm.weight": weights["lnfw"],
                "output_norm.bias": weights["lnfb"]}
    names = {"ln1": "attn_norm", "qkv": "attn_qkv", "attproj": "attn_output", "ln2": "ffn_norm", "fc": "ffn_up",
             "fcproj": "ffn_down"}
    for layer in range(dims["L"]):
        for ours, theirs in names.items():
            expected[f"blk.{layer}.{theirs}.weight"] = weights[ours + "w"][layer]
            expected[f"blk.{layer}.{theirs}.bias"] = weights[ours + "b"][layer]
    check("gguf has exactly the tensors of GPT-2", set(tensors) == set(expected), f"{len(tensors)} tensors")

    def numbers(tensor):
        if tensor.tensor_type.name == "F32":
            return np.array(tensor.data).reshape(-1)
        assert tensor.tensor_type.name == "BF16"
        return (np.array(tensor.data).reshape(-1).view(np.uint16).astype(np.uint32) << 16).view(np.float32)

    same = all(np.array_equal(numbers(tensors[name]), w.reshape(-1)) for name, w in expected.items())
    check("gguf's tensors are the model's, bit by bit", same)


def inkling_greedy(inkling, model, ids, count):
    with tempfile.TemporaryDirectory() as empty:  # a model without a tokenizer prints ids
        link = Path(empty) / "model.bin"
        link.symlink_to(Path(model).resolve())
        out = subprocess.run([inkling, "generate", "--model", str(link), "--prompt-tokens", ",".join(map(str, ids)),
                              "--greedy", "--ignore-end", "--max-tokens", str(count)],
                             check=True, capture_output=True, text=True).stdout
    return [int(word) for word in out.split()]


def transformers_greedy(model, ids, count):
    text = list(ids)
    with torch.no_grad():
        for _ in range(count):
            text.append(int(model(torch.tensor([text])).logits[0, -1].argmax()))
    return text[len(ids):]


def llama_greedy(llama, ids, count):
    llama.reset()
    llama.eval(ids)
    text = []
    for _ in range(count):
        text.append(int(np.argmax(llama.scores[llama.n_tokens - 1])))
        llama.eval(text[-1:])
    return text


def check_tokenizer(inkling, model_path, tokenizer_path, directory, model, llama, count):
    tokenizer = AutoTokenizer.from_pretrained(directory)
    end = tokenizer.eos_token_id
    texts = ["Once upon a time", "Hello, world! It's 12345 o'clock.", "  two  blanks\n\n\tand tabs ", "d\u00e9j\u00e0 vu \u2603 \U0001f600\u200d",
             "\u0130\u00a0x\u2028y\u3000z", "'LL don't we'Ve", ""]
    for text in texts:
        ids = [end] + tokenizer(text)["input_ids"]
        got = llama.tokenize(text.encode(), special=False)
        check("llama.cpp and transformers give the same ids", got == ids, f"{len(ids)} ids of {text!r}")
        check("the ids decode to the text", tokenizer.decode(ids[1:]) == text)
    text = "Once upon a time"
    ids = [end] + tokenizer(text)["input_ids"]
    want = text + tokenizer.decode(transformers_greedy(model, ids, count))
    out = subprocess.run([inkling, "generate", "--model", model_path, "--tokenizer", tokenizer_path, "--prompt", text,
                          "--greedy", "--ignore-end", "--max-tokens", str(count)], check=True, capture_output=True)
    ours = out.stdout.decode(errors="replace").removesuffix("\n")
    check("transformers continues a text as inkling does", want == ours, repr(ours))
    llama.reset()
    answer = llama.create_completion(text, max_tokens=count, temperature=0.0)["choices"][0]["text"]
    check("llama.cpp continues a text as inkling does", text + answer == ours, repr(answer))


def main():
    inkling, model_path = sys.argv[1:3]
    tokenizer = sys.argv[3] if len(sys.argv) > 3 else None
    torch.set_num_threads(2)
    dims, weights = read_checkpoint(model_path)
    print({key: value for key, value in dims.items()})
    with tempfile.TemporaryDirectory() as temporary:
        temporary = Path(temporary)
        convert(inkling, model_path, temporary / "hf", tokenizer)
        model = check_transformers(temporary / "hf", dims, weights)
        convert(inkling, model_path, temporary / "m.safetensors", None)
        one, other = load_file(temporary / "m.safetensors"), load_file(temporary / "hf/model.safetensors")
        check("safetensors reads the same tensors in both forms", one.keys() == other.keys() and all(
            torch.equal(one[name], other[name]) for name in one), f"{len(one)} tensors")
        convert(inkling, model_path, temporary / "m.gguf", tokenizer)
        check_gguf(temporary / "m.gguf", dims, weights)
        prompt = text_of(dims)[:4]
        count = min(TOKENS, dims["maxT"] - len(prompt))
        llama = Llama(model_path=str(temporary / "m.gguf"), n_ctx=dims["maxT"], logits_all=True, verbose=False)
        ours, theirs = inkling_greedy(inkling, model_path, prompt, count), transformers_greedy(model, prompt, count)
        check("transformers writes inkling's greedy text", ours == theirs, str(ours))
        check("llama.cpp writes inkling's greedy text", ours == llama_greedy(llama, prompt, count))
        if tokenizer:
            check_tokenizer(inkling, model_path, tokenizer, temporary / "hf", model, llama, count)


if __name__ == "__main__":
    main()
