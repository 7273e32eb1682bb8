#include "apps/interop/gguf.h"

#include <string>
#include <string_view>
#include <vector>

#include "apps/tokenizer/merges_files.h"
#include "core/parallel.h"
#include "ops/layernorm.h"

namespace inkling {

namespace {

constexpr std::uint32_t kVersion = 3;
constexpr std::int64_t kAlignment = 32;

// The types of values, and of tensors.
enum ValueType : std::uint32_t { kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kString = 8, kArray = 9 };
enum TensorType : std::uint32_t { kTensorF32 = 0, kTensorF16 = 1, kTensorBf16 = 30 };
// The types of tokens. llama.cpp does not print a control token, and finds none in a user's text.
enum TokenType : std::int32_t { kNormal = 1, kControl = 3 };

std::int64_t aligned(std::int64_t offset) {
  return ceil_div(offset, kAlignment) * kAlignment;
}

// A part of the file that is built in memory.
class Bytes {
 public:
  template <class T>
  void number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view value) {
    number(std::uint64_t{value.size()});
    bytes_ += value;
  }
  void raw(std::string_view value) { bytes_ += value; }
  void pad() { bytes_.resize(static_cast<std::size_t>(aligned(std::ssize(bytes_)))); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class Pairs {
 public:
  void add(std::string_view key, std::int64_t value) {
    start(key, kU32);
    bytes_.number(static_cast<std::uint32_t>(value));
  }
  void add(std::string_view key, float value) {
    start(key, kF32);
    bytes_.number(value);
  }
  void add(std::string_view key, bool value) {
    start(key, kBool);
    bytes_.number(static_cast<std::uint8_t>(value));
  }
  void add(std::string_view key, const char* value) {
    start(key, kString);
    bytes_.text(value);
  }
  void add(std::string_view key, const std::vector<std::string>& values) {
    start_array(key, kString, values.size());
    for (const std::string& value : values) bytes_.text(value);
  }
  void add(std::string_view key, const std::vector<std::int32_t>& values) {
    start_array(key, kI32, values.size());
    for (const std::int32_t value : values) bytes_.number(value);
  }
  std::uint64_t count() const { return count_; }
  const std::string& bytes() const { return bytes_.bytes(); }

 private:
  void start(std::string_view key, ValueType type) {
    bytes_.text(key);
    bytes_.number(std::uint32_t{type});
    ++count_;
  }
  void start_array(std::string_view key, ValueType type, std::size_t count) {
    start(key, kArray);
    bytes_.number(std::uint32_t{type});
    bytes_.number(std::uint64_t{count});
  }

  Bytes bytes_;
  std::uint64_t count_ = 0;
};

void add_model(Pairs& pairs, const GPT2Config& config, FloatType type) {
  pairs.add("general.architecture", "gpt2");
  pairs.add("general.alignment", kAlignment);
  // The type of most tensors, by llama.cpp's numbers.
  pairs.add("general.file_type", std::int64_t{type == FloatType::f32 ? 0 : type == FloatType::f16 ? 1 : 32});
  pairs.add("gpt2.vocab_size", config.vocab_size);
  pairs.add("gpt2.context_length", config.max_seq_len);
  pairs.add("gpt2.embedding_length", config.channels);
  pairs.add("gpt2.block_count", config.layers);
  pairs.add("gpt2.feed_forward_length", 4 * config.channels);
  pairs.add("gpt2.attention.head_count", config.heads);
  pairs.add("gpt2.attention.layer_norm_epsilon", kLayerNormEps);
}

void add_tokenizer(Pairs& pairs, const Tokenizer* tokenizer) {
  if (tokenizer == nullptr) return pairs.add("tokenizer.ggml.model", "none");
  std::vector<std::int32_t> types(static_cast<std::size_t>(tokenizer->vocab_size()), kNormal);
  types[static_cast<std::size_t>(tokenizer->end_of_text())] = kControl;
  pairs.add("tokenizer.ggml.model", "gpt2");
  pairs.add("tokenizer.ggml.pre", "gpt-2");  // cut the text with GPT-2's pattern before merging
  pairs.add("tokenizer.ggml.tokens", written_tokens(*tokenizer));
  pairs.add("tokenizer.ggml.token_type", types);
  pairs.add("tokenizer.ggml.merges", written_merges(*tokenizer));
  pairs.add("tokenizer.ggml.bos_token_id", std::int64_t{tokenizer->end_of_text()});
  pairs.add("tokenizer.ggml.eos_token_id", std::int64_t{tokenizer->end_of_text()});
  pairs.add("tokenizer.ggml.add_bos_token", true);
}

struct GgufTensor {
  std::string name;
  LayerTensor source;
  FloatType type;
  Shape shape;

  std::int64_t size() const { return shape.numel() * size_bytes(type); }
};

std::vector<GgufTensor> gguf_tensors(const StoredModel& model) {
  std::vector<GgufTensor> tensors;
  for (const LayerTensor& tensor : layer_tensors(model.config)) {
    const Shape shape = shape_of(tensor, model.config);
    const bool is_matrix = shape.rank == 2 && tensor.tensor != kWpe;
    tensors.push_back({gguf_name(tensor), tensor, is_matrix ? model.type() : FloatType::f32, shape});
  }
  tensors.push_back({"output.weight", {kWte}, model.type(), shape_of({kWte}, model.config)});
  return tensors;
}

void describe(Bytes& head, const GgufTensor& tensor, std::int64_t offset) {
  head.text(tensor.name);
  head.number(static_cast<std::uint32_t>(tensor.shape.rank));
  for (int axis = tensor.shape.rank; axis-- > 0;) head.number(static_cast<std::uint64_t>(tensor.shape[axis]));
  head.number(std::uint32_t{tensor.type == FloatType::f32   ? kTensorF32
                            : tensor.type == FloatType::f16 ? kTensorF16
                                                            : kTensorBf16});
  head.number(static_cast<std::uint64_t>(offset));
}

}  // namespace

void write_gguf(AtomicFile& file, const StoredModel& model, const Tokenizer* tokenizer) {
  const std::vector<GgufTensor> tensors = gguf_tensors(model);
  Pairs pairs;
  add_model(pairs, model.config, model.type());
  add_tokenizer(pairs, tokenizer);
  Bytes head;
  head.raw("GGUF");
  head.number(kVersion);
  head.number(std::uint64_t{tensors.size()});
  head.number(pairs.count());
  head.raw(pairs.bytes());
  std::int64_t offset = 0;
  for (const GgufTensor& tensor : tensors) {
    describe(head, tensor, offset);
    offset += aligned(tensor.size());
  }
  head.pad();
  file.write(head.bytes());
  for (const GgufTensor& tensor : tensors) {
    write_tensor(file, model, tensor.source, tensor.type, MatrixOrder::out_in);
    file.write(std::string(static_cast<std::size_t>(aligned(tensor.size()) - tensor.size()), '\0'));
  }
}

}  // namespace inkling
