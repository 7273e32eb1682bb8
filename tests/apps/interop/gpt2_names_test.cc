// The names of GPT-2's tensors in other programs.
#include "apps/interop/gpt2_names.h"

#include <set>

#include "tests/apps/interop/models.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("names: each tensor of each layer has an index, a shape and names of its own") {
  const std::vector<LayerTensor> all = layer_tensors(kSmall);
  CHECK(all.size() == 4 + 12 * 3);
  std::set<std::string> huggingface, gguf;
  std::int64_t numbers = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(index_of(all[i], kSmall) == i);
    huggingface.insert(huggingface_name(all[i]));
    gguf.insert(gguf_name(all[i]));
    numbers += shape_of(all[i], kSmall).numel();
  }
  CHECK(huggingface.size() == all.size());
  CHECK(gguf.size() == all.size());
  const std::int64_t padding = (kSmall.padded_vocab_size() - kSmall.vocab_size) * kSmall.channels;
  CHECK(numbers == kSmall.parameter_count() - padding);
}

TEST_CASE("names: the names are transformers' and llama.cpp's") {
  CHECK(huggingface_name({kWte}) == "wte.weight");
  CHECK(huggingface_name({kAttprojw, 11}) == "h.11.attn.c_proj.weight");
  CHECK(huggingface_name({kLnfb}) == "ln_f.bias");
  CHECK(gguf_name({kWpe}) == "position_embd.weight");
  CHECK(gguf_name({kFcprojb, 0}) == "blk.0.ffn_down.bias");
  CHECK(gguf_name({kLn2w, 7}) == "blk.7.ffn_norm.weight");
}

TEST_CASE("names: a name is read with and without transformer., and every other name is unknown") {
  for (const LayerTensor& tensor : layer_tensors(kSmall)) {
    const std::string name = huggingface_name(tensor);
    CHECK(parse_huggingface_name(name) == tensor);
    CHECK(parse_huggingface_name("transformer." + name) == tensor);
  }
  for (const char* name :
       {"", "wte", "wte.bias", "h.0.wte.weight", "ln_1.weight", "h.ln_1.weight", "h.-1.ln_1.weight",
        "h.01.ln_1.weight", "h.+1.ln_1.weight", "h. 1.ln_1.weight", "h.1ln_1.weight",
        "h.99999999999.ln_1.weight", "transformer.transformer.wte.weight", "h.0.ln_1.weight.",
        "h.0.attn.bias", "lm_head.weight"}) {
    INFO(name);
    CHECK(!parse_huggingface_name(name));
  }
}

TEST_CASE("names: the causal masks of a layer are known as masks, and nothing else is") {
  CHECK(is_huggingface_mask("h.0.attn.bias"));
  CHECK(is_huggingface_mask("transformer.h.11.attn.masked_bias"));
  for (const char* name :
       {"attn.bias", "h.attn.bias", "h.x.attn.bias", "h.0.attn.c_attn.bias", "h.0.attn.biases"}) {
    INFO(name);
    CHECK(!is_huggingface_mask(name));
  }
}

}  // namespace
}  // namespace inkling
