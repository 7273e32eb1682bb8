// A GPT-2 in safetensors files: one file, or several files that share the tensors.
//
// Gpt2Tensors collects the tensors of all files. It refuses a tensor that is not part of a GPT-2, and ignores
// the causal masks that some files contain. model() then finds every tensor of a model with given dimensions
// and checks its shape and dtype. The output head (lm_head.weight) may be missing; otherwise it must have the
// same numbers as the token embedding, because inkling's head is the token embedding.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/interop/safetensors.h"
#include "apps/interop/stored_model.h"

namespace inkling {

class Gpt2Tensors {
 public:
  // `where` is the path of the model; errors about missing tensors start with it.
  explicit Gpt2Tensors(std::string where) : where_(std::move(where)) {}

  // Adds the tensors of a file. Error if one has an unknown name, or if a tensor is there twice.
  void add(const Safetensors& file, const std::string& path);

  // Returns the dimensions of the model, as the shapes of its tensors show them, and `heads`, which no shape
  // shows. Error if the shapes do not show the dimensions.
  GPT2Config dimensions(std::int64_t heads) const;

  // Returns the model. `files` are the files of the tensors, which the model then owns.
  StoredModel model(const GPT2Config& config, std::vector<FileView> files) const;

  bool has_head() const { return head_.has_value(); }

 private:
  struct Found {
    std::string label;  // the path and the name, for errors
    SafetensorsTensor tensor;
  };

  const Found& find(const LayerTensor& tensor) const;
  void check_head(const StoredModel& model) const;

  std::string where_;
  std::map<std::string, Found> tensors_;  // by huggingface_name()
  std::int64_t layers_ = 0;               // one more than the largest number of a layer
  std::optional<Found> head_;
};

// Reads one file that holds a whole model. Its number of heads comes from its metadata, if inkling has
// written it; from a config.json in the same directory; or from the table of OpenAI's four models.
StoredModel read_safetensors_model(const std::string& path);
// Like read_safetensors_model(), for the bytes of a file and without a config.json. The model refers to the
// bytes.
StoredModel parse_safetensors_model(ByteReader in);

// Writes a whole model, with the type of its tensors. The caller commits the file.
void write_safetensors_model(AtomicFile& file, const StoredModel& model);

}  // namespace inkling
