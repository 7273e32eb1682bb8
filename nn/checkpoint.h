// llm.c's model checkpoints: version 3 holds float32, version 5 bfloat16 (all tensors, norms too).
//
// 256 int32 of header (magic 20240326, version, maxT, V, L, NH, C, Vp), then the 16 tensors of
// nn/gpt2_config.h, each stacked over the layers. Nothing is allocated before the header is found plausible
// and the file's real size is what the header implies.
#pragma once

#include <string>

#include "core/binary_file.h"
#include "core/tensor.h"
#include "nn/gpt2.h"

namespace inkling {

constexpr std::int32_t kModelMagic = 20240326;

struct ModelHeader {
  GPT2Config config;
  DType dtype = DType::f32;
};

// Reads and checks a header; afterwards `in` stands at the first weight. Error unless exactly the weights
// follow.
ModelHeader read_model_header(ByteReader& in);

GPT2 load_model(const std::string& path);
GPT2 load_model(ByteReader& in);

// As f32 or bf16, which rounds to nearest, ties to even. Error unless the weights are as many as the config
// has.
void save_model(const std::string& path, const GPT2Config& config, std::span<const float> weights,
                DType dtype = DType::f32);

}  // namespace inkling
