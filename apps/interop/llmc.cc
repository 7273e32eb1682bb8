#include "apps/interop/llmc.h"

#include "nn/checkpoint.h"

namespace inkling {

namespace {

// Calls f for each tensor in the order of the file: all layers of a tensor, then the next tensor.
template <class F>
void for_each_in_file_order(const GPT2Config& config, F&& f) {
  for (std::size_t t = 0; t < kGPT2Tensors; ++t) {
    const auto tensor = static_cast<GPT2Tensor>(t);
    const std::int64_t layers = is_stacked(tensor) ? config.layers : 1;
    for (std::int64_t layer = 0; layer < layers; ++layer) f(LayerTensor{tensor, layer});
  }
}

std::int64_t padded_rows(const GPT2Config& config) {
  return config.padded_vocab_size() - config.vocab_size;
}

}  // namespace

StoredModel parse_llmc_model(ByteReader in) {
  const ModelHeader header = read_model_header(in);
  StoredModel model{.config = header.config, .tensors = {}, .files = {}};
  const FloatType type = header.dtype == DType::f32 ? FloatType::f32 : FloatType::bf16;
  model.tensors.resize(layer_tensors(header.config).size());
  for_each_in_file_order(header.config, [&](const LayerTensor& tensor) {
    const std::int64_t count = shape_of(tensor, header.config).numel();
    model.tensors[index_of(tensor, header.config)] = {in.take(count * size_bytes(type), "a tensor"), type,
                                                      MatrixOrder::out_in};
    if (tensor.tensor == kWte)
      in.take(padded_rows(header.config) * header.config.channels * size_bytes(type), "padding");
  });
  return model;
}

StoredModel read_llmc_model(const std::string& path) {
  FileView file(path);
  StoredModel model = parse_llmc_model(ByteReader(file));
  model.files.push_back(std::move(file));
  return model;
}

void write_llmc_model(AtomicFile& file, const std::string& path, const StoredModel& model) {
  const FloatType type = model.type() == FloatType::bf16 ? FloatType::bf16 : FloatType::f32;
  file.write_value(model_header(model.config, type == FloatType::f32 ? DType::f32 : DType::bf16, path));
  const std::vector<std::byte> zeros(static_cast<std::size_t>(model.config.channels * size_bytes(type)));
  for_each_in_file_order(model.config, [&](const LayerTensor& tensor) {
    write_tensor(file, model, tensor, type, MatrixOrder::out_in);
    if (tensor.tensor != kWte) return;
    for (std::int64_t row = 0; row < padded_rows(model.config); ++row)
      file.write(zeros.data(), std::ssize(zeros));
  });
}

}  // namespace inkling
