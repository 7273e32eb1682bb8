#include "apps/interop/gpt2_safetensors.h"

#include <charconv>
#include <filesystem>

#include "apps/interop/huggingface_config.h"
#include "core/error.h"

namespace inkling {

namespace {

constexpr const char* kHead = "lm_head.weight";
constexpr const char* kHeads = "n_head";  // the key in the metadata of the files that inkling writes

std::optional<FloatType> float_type(const std::string& dtype) {
  if (dtype == "F32") return FloatType::f32;
  if (dtype == "F16") return FloatType::f16;
  if (dtype == "BF16") return FloatType::bf16;
  return std::nullopt;
}

const char* dtype_name(FloatType type) {
  return type == FloatType::f32 ? "F32" : type == FloatType::f16 ? "F16" : "BF16";
}

// The shape of a tensor in a file: [in, out] for the four matrices of a layer.
std::vector<std::int64_t> stored_shape(const LayerTensor& tensor, const GPT2Config& config) {
  const Shape shape = shape_of(tensor, config);
  if (shape.rank == 1) return {shape[0]};
  if (is_conv1d(tensor.tensor)) return {shape[1], shape[0]};
  return {shape[0], shape[1]};
}

StoredTensor stored_tensor(const std::string& label, const SafetensorsTensor& found,
                           const std::vector<std::int64_t>& shape, MatrixOrder order) {
  if (found.shape != shape)
    fail(label, ": shape is ", shape_text(found.shape), ", expected ", shape_text(shape));
  const std::optional<FloatType> type = float_type(found.dtype);
  if (!type) fail(label, ": dtype is ", found.dtype, ", expected F32, F16 or BF16");
  return {found.bytes, *type, order};
}

// The number of heads that inkling has written into the metadata; 0 if it is not there.
std::int64_t heads_in(const Safetensors& file, const std::string& path) {
  const auto found = file.metadata.find(kHeads);
  if (found == file.metadata.end()) return 0;
  const std::string& text = found->second;
  std::int64_t heads = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), heads);
  if (error != std::errc{} || end != text.data() + text.size() || heads < 1)
    fail(path, ": __metadata__: ", kHeads, " (the number of heads) is ", text.substr(0, 40),
         ", expected a positive integer");
  return heads;
}

// The number of heads of OpenAI's model with these dimensions; 0 if there is no such model.
std::int64_t heads_of_openai(const GPT2Config& dimensions) {
  for (const char* name : {"gpt2:d12", "gpt2:d24", "gpt2:d36", "gpt2:d48"}) {
    const GPT2Config openai = GPT2Config::named(name);
    if (openai.layers == dimensions.layers && openai.channels == dimensions.channels) return openai.heads;
  }
  return 0;
}

// The dimensions of a model in a single file without a config.json.
GPT2Config dimensions_of_single(const Gpt2Tensors& tensors, const Safetensors& file,
                                const std::string& path) {
  std::int64_t heads = heads_in(file, path);
  if (heads == 0) heads = heads_of_openai(tensors.dimensions(1));
  if (heads == 0) {
    fail(path,
         ": the number of heads is unknown, expected a config.json in the same directory, n_head in the "
         "metadata, or the dimensions of one of OpenAI's models");
  }
  return tensors.dimensions(heads);
}

}  // namespace

void Gpt2Tensors::add(const Safetensors& file, const std::string& path) {
  for (const SafetensorsTensor& tensor : file.tensors) {
    if (is_huggingface_mask(tensor.name)) continue;
    Found found{path + ": " + tensor.name, tensor};
    if (tensor.name == kHead) {
      if (head_) fail(found.label, " is also in another file, ", head_->label, ", expected it once");
      head_ = std::move(found);
      continue;
    }
    const std::optional<LayerTensor> part = parse_huggingface_name(tensor.name);
    if (!part) fail(found.label, " is not a tensor of GPT-2, expected only the tensors of GPT2LMHeadModel");
    layers_ = std::max(layers_, part->layer + 1);
    const auto [at, is_new] = tensors_.emplace(huggingface_name(*part), std::move(found));
    if (!is_new)
      fail(path, ": ", tensor.name, " is the same tensor as ", at->second.label, ", expected it once");
  }
}

const Gpt2Tensors::Found& Gpt2Tensors::find(const LayerTensor& tensor) const {
  const auto found = tensors_.find(huggingface_name(tensor));
  if (found == tensors_.end())
    fail(where_, ": ", huggingface_name(tensor), " is missing, expected all tensors of GPT-2");
  return found->second;
}

GPT2Config Gpt2Tensors::dimensions(std::int64_t heads) const {
  const Found &wte = find({kWte}), &wpe = find({kWpe});
  for (const Found* found : {&wte, &wpe}) {
    if (found->tensor.shape.size() != 2)
      fail(found->label, ": shape is ", shape_text(found->tensor.shape), ", expected two dimensions");
  }
  return {.max_seq_len = wpe.tensor.shape[0],
          .vocab_size = wte.tensor.shape[0],
          .layers = layers_,
          .heads = heads,
          .channels = wte.tensor.shape[1]};
}

StoredModel Gpt2Tensors::model(const GPT2Config& config, std::vector<FileView> files) const {
  config.check(where_);
  // This check comes before memory is allocated for the layers.
  if (layers_ != config.layers)
    fail(where_, ": the tensors have ", layers_, " layers, expected n_layer=", config.layers);
  StoredModel model{.config = config, .tensors = {}, .files = std::move(files)};
  for (const LayerTensor& tensor : layer_tensors(config)) {
    const Found& found = find(tensor);
    const MatrixOrder order = is_conv1d(tensor.tensor) ? MatrixOrder::in_out : MatrixOrder::out_in;
    model.tensors.push_back(stored_tensor(found.label, found.tensor, stored_shape(tensor, config), order));
  }
  check_head(model);
  return model;
}

void Gpt2Tensors::check_head(const StoredModel& model) const {
  if (!head_) return;
  const StoredTensor head =
      stored_tensor(head_->label, head_->tensor, stored_shape({kWte}, model.config), MatrixOrder::out_in);
  if (!same_numbers(model, head, model.at({kWte})))
    fail(head_->label,
         " differs from wte.weight, expected the same numbers, because the head of GPT-2 is its "
         "token embedding");
}

StoredModel parse_safetensors_model(ByteReader in) {
  const Safetensors file = parse_safetensors(in);
  Gpt2Tensors tensors(in.path());
  tensors.add(file, in.path());
  return tensors.model(dimensions_of_single(tensors, file, in.path()), {});
}

StoredModel read_safetensors_model(const std::string& path) {
  std::vector<FileView> files;
  files.emplace_back(path);
  const Safetensors file = parse_safetensors(ByteReader(files.front()));
  Gpt2Tensors tensors(path);
  tensors.add(file, path);
  const std::filesystem::path config = std::filesystem::path(path).parent_path() / "config.json";
  if (heads_in(file, path) == 0 && std::filesystem::exists(config))
    return tensors.model(read_huggingface_config(config.string(), tensors.has_head()), std::move(files));
  return tensors.model(dimensions_of_single(tensors, file, path), std::move(files));
}

void write_safetensors_model(AtomicFile& file, const StoredModel& model) {
  const FloatType type = model.type();
  const std::vector<LayerTensor> all = layer_tensors(model.config);
  std::vector<SafetensorsTensor> described;
  described.reserve(all.size());
  for (const LayerTensor& tensor : all)
    described.push_back({huggingface_name(tensor), dtype_name(type), stored_shape(tensor, model.config), {}});
  // Hugging Face's transformers refuses a file whose metadata has no "format".
  file.write(safetensors_header({{"format", "pt"}, {kHeads, std::to_string(model.config.heads)}}, described));
  for (const LayerTensor& tensor : all) {
    const MatrixOrder order = is_conv1d(tensor.tensor) ? MatrixOrder::in_out : MatrixOrder::out_in;
    write_tensor(file, model, tensor, type, order);
  }
}

}  // namespace inkling
