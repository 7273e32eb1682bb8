#include "nn/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"

namespace inkling {

namespace {

constexpr std::int32_t kVersionF32 = 3;
constexpr std::int32_t kVersionBF16 = 5;
constexpr std::int64_t kChunk = 1 << 20;  // the number of weights that are converted or copied at once

// Checks the dimensions, which are entries 2 to 6 of the header.
void check_dims(const GPT2Config& config, const Header& h, const ByteReader& in) {
  try {
    config.check(in.path());
  } catch (const Error& error) {
    int wrong = 2;
    while (wrong < 6 && h[wrong] >= 1 && h[wrong] <= GPT2Config::kMostDim) ++wrong;
    fail(error.what(), " (at byte ", 4 * wrong, ")");
  }
}

}  // namespace

ModelHeader read_model_header(ByteReader& in) {
  const Header h = read_header(in, kModelMagic, "model checkpoint");
  ModelHeader model;
  if (h[1] != kVersionF32 && h[1] != kVersionBF16) {
    fail_at_entry(in, 1, str("model version is ", h[1], ", expected 3 (float32) or 5 (bfloat16)"));
  }
  model.dtype = h[1] == kVersionF32 ? DType::f32 : DType::bf16;
  model.config.max_seq_len = h[2];
  model.config.vocab_size = h[3];
  model.config.layers = h[4];
  model.config.heads = h[5];
  model.config.channels = h[6];
  check_dims(model.config, h, in);
  if (h[7] != model.config.padded_vocab_size()) {
    fail_at_entry(in, 7,
                  str("padded vocabulary (Vp) is ", h[7], ", expected ", model.config.padded_vocab_size(),
                      " for V=", h[3]));
  }
  const std::int64_t weights = model.config.parameter_count();
  const std::int64_t expected = Header::kBytes + weights * size_bytes(model.dtype);
  if (in.size_bytes() != expected) {
    fail(in.path(), ": file size is ", in.size_bytes(), " bytes, expected ", expected, " (", Header::kBytes,
         " of header and ", weights, " ", name(model.dtype), " weights)");
  }
  return model;
}

Header model_header(const GPT2Config& config, DType dtype, const std::string& path) {
  if (dtype != DType::f32 && dtype != DType::bf16)
    fail(path, ": cannot save weights as ", name(dtype), ", expected f32 or bf16");
  Header h;
  h[0] = kModelMagic;
  h[1] = dtype == DType::f32 ? kVersionF32 : kVersionBF16;
  h[2] = static_cast<std::int32_t>(config.max_seq_len);
  h[3] = static_cast<std::int32_t>(config.vocab_size);
  h[4] = static_cast<std::int32_t>(config.layers);
  h[5] = static_cast<std::int32_t>(config.heads);
  h[6] = static_cast<std::int32_t>(config.channels);
  h[7] = static_cast<std::int32_t>(config.padded_vocab_size());
  return h;
}

GPT2 load_model(const std::string& path) {
  const FileView file(path);
  ByteReader in(file);
  return load_model(in);
}

GPT2 load_model(ByteReader& in) {
  const ModelHeader header = read_model_header(in);
  GPT2 model(header.config);
  const std::span<float> weights = model.parameters().values();
  const auto bytes = in.take(in.remaining_bytes(), "weights");
  parallel_for(std::ssize(weights), kChunk, [&](std::int64_t begin, std::int64_t end) {
    const auto count = static_cast<std::size_t>(end - begin);
    if (header.dtype == DType::f32) {
      std::memcpy(weights.data() + begin, bytes.data() + begin * 4, count * 4);
    } else {
      for (std::int64_t i = begin; i < end; ++i) {
        bf16 value;
        std::memcpy(&value, bytes.data() + i * 2, 2);
        weights[static_cast<std::size_t>(i)] = to_float(value);
      }
    }
  });
  return model;
}

void expect_finite(GPT2& model, const std::string& path) {
  for (std::size_t t = 0; t < kGPT2Tensors; ++t) {
    const std::span<const float> values = model.parameters().values_of(t);
    const auto odd = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
    if (odd == values.end()) continue;
    const Parameter& tensor = model.parameters().table()[t];
    fail(path, ": weight ", odd - values.begin(), " of ", tensor.name, " ", tensor.shape, " is ",
         std::isnan(*odd) ? "nan" : "infinite",
         ", expected a finite number; inkling inspect counts such weights in each tensor");
  }
}

void save_model(const std::string& path, const GPT2Config& config, std::span<const float> weights,
                DType dtype, FolderSync folder) {
  config.check(path);
  if (std::ssize(weights) != config.parameter_count()) {
    fail(path, ": cannot save ", weights.size(), " weights, expected ", config.parameter_count(),
         " for this model");
  }
  const Header h = model_header(config, dtype, path);
  AtomicFile file(path);
  file.write_value(h);
  if (dtype == DType::f32) {
    file.write(weights.data(), std::ssize(weights) * 4);
  } else {
    std::vector<bf16> rounded;
    for (std::size_t begin = 0; begin < weights.size(); begin += kChunk) {
      const auto part = weights.subspan(begin, std::min<std::size_t>(kChunk, weights.size() - begin));
      rounded.resize(part.size());
      for (std::size_t i = 0; i < part.size(); ++i) rounded[i] = to_bf16(part[i]);
      file.write(rounded.data(), std::ssize(rounded) * 2);
    }
  }
  file.commit(folder);
}

}  // namespace inkling
