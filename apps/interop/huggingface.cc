#include "apps/interop/huggingface.h"

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "apps/interop/gpt2_safetensors.h"
#include "apps/interop/huggingface_config.h"
#include "apps/interop/huggingface_tokenizer.h"
#include "apps/run/strict_json.h"
#include "core/error.h"

namespace inkling {

namespace fs = std::filesystem;

namespace {

constexpr const char* kWeights = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kConfig = "config.json";

std::string inside(const std::string& directory, const std::string& name) {
  return (fs::path(directory) / name).string();
}

// The table of a model in several files: the file of each tensor.
std::map<std::string, std::string> read_index(const std::string& path) {
  const nlohmann::json json = read_json(path);
  const JsonObject map = JsonObject(json, path).object("weight_map");
  std::map<std::string, std::string> files;
  for (const auto& [tensor, value] : json["weight_map"].items()) {
    const std::string file = map.text(tensor);
    // A table from the internet must not name a file elsewhere on this machine.
    if (file != fs::path(file).filename().string() || !file.ends_with(".safetensors"))
      fail(path, ": weight_map.", tensor, " is ", nlohmann::json(file).dump(),
           ", expected the name of a .safetensors file in the same directory");
    files[tensor] = file;
  }
  return files;
}

// Reads the files of a table. Each tensor must be in the file that the table says, and nowhere else.
std::vector<FileView> add_indexed_files(const std::string& directory, Gpt2Tensors& tensors) {
  const std::string index_path = inside(directory, kIndex);
  const std::map<std::string, std::string> index = read_index(index_path);
  std::set<std::string> names;
  for (const auto& [tensor, file] : index) names.insert(file);
  std::vector<FileView> files;
  std::size_t found = 0;
  for (const std::string& name : names) {
    files.emplace_back(inside(directory, name));
    const std::string& path = files.back().path();
    const Safetensors shard = parse_safetensors(ByteReader(files.back()));
    for (const SafetensorsTensor& tensor : shard.tensors) {
      const auto entry = index.find(tensor.name);
      if (entry == index.end() || entry->second != name)
        fail(path, ": ", tensor.name, " is in this file, but ", index_path, " says ",
             entry == index.end() ? "nothing about it" : "that it is in " + entry->second);
      ++found;
    }
    tensors.add(shard, path);
  }
  if (found == index.size()) return files;
  fail(index_path, ": weight_map has ", index.size(), " tensors, but its files have ", found,
       " of these tensors, expected all of them");
}

// The files of a directory that are being written. All of them get their names together, at the end.
class Files {
 public:
  explicit Files(std::string directory) : directory_(std::move(directory)) {}
  AtomicFile& add(const std::string& name) {
    files_.push_back(std::make_unique<AtomicFile>(inside(directory_, name)));
    return *files_.back();
  }
  void commit() {
    for (const auto& file : files_) file->commit(FolderSync::by_caller);
    sync_to_disk(directory_);
  }

 private:
  std::string directory_;
  std::vector<std::unique_ptr<AtomicFile>> files_;
};

}  // namespace

bool is_huggingface_directory(const std::string& path) {
  return fs::exists(inside(path, kWeights)) || fs::exists(inside(path, kIndex));
}

StoredModel read_huggingface_model(const std::string& directory) {
  Gpt2Tensors tensors(directory);
  std::vector<FileView> files;
  // transformers also prefers the single file, if both are there.
  const std::string single = inside(directory, kWeights);
  if (fs::exists(single)) {
    files.emplace_back(single);
    tensors.add(parse_safetensors(ByteReader(files.front())), single);
  } else {
    files = add_indexed_files(directory, tensors);
  }
  return tensors.model(read_huggingface_config(inside(directory, kConfig), tensors.has_head()),
                       std::move(files));
}

std::vector<std::string> huggingface_files(const std::string& directory, bool with_tokenizer) {
  std::vector<std::string> paths = {inside(directory, kConfig), inside(directory, kWeights)};
  if (!with_tokenizer) return paths;
  for (const char* name : kHuggingfaceTokenizerFiles) paths.push_back(inside(directory, name));
  return paths;
}

void write_huggingface_model(const std::string& directory, const StoredModel& model,
                             const Tokenizer* tokenizer) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) fail(directory, ": cannot create the directory: ", error.message());
  const auto end_of_text = tokenizer != nullptr ? tokenizer->end_of_text()
                                                : static_cast<std::int32_t>(model.config.vocab_size - 1);
  Files files(directory);
  files.add(kConfig).write(huggingface_config_text(model.config, model.type(), end_of_text));
  if (tokenizer != nullptr) {
    for (const auto& [name, text] : huggingface_tokenizer(*tokenizer, model.config.max_seq_len))
      files.add(name).write(text);
  }
  write_safetensors_model(files.add(kWeights), model);
  files.commit();
}

}  // namespace inkling
