// inkling convert: writes a model in the format of another program.
#include <filesystem>
#include <iostream>
#include <optional>

#include "apps/commands.h"
#include "apps/interop/gguf.h"
#include "apps/interop/gpt2_safetensors.h"
#include "apps/interop/huggingface.h"
#include "apps/interop/llmc.h"
#include "apps/tokenizer/merges_files.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/error.h"

namespace inkling {

namespace fs = std::filesystem;

namespace {

struct ConvertCommand {
  std::string from, to, tokenizer;
};

enum class Form { llmc, safetensors, gguf, huggingface };

// The end of a file's name decides its format. A name with any other end is a directory.
Form form_of(const std::string& path) {
  if (fs::is_directory(path)) return Form::huggingface;
  if (path.ends_with(".bin")) return Form::llmc;
  if (path.ends_with(".safetensors")) return Form::safetensors;
  if (path.ends_with(".gguf")) return Form::gguf;
  return Form::huggingface;
}

StoredModel read_model(const std::string& path) {
  switch (form_of(path)) {
    case Form::llmc:
      return read_llmc_model(path);
    case Form::safetensors:
      return read_safetensors_model(path);
    case Form::gguf:
      throw UsageError(
          str("--from ", path,
              ": inkling can write GGUF files but not read them, expected a .bin file, a .safetensors ",
              "file or a Hugging Face directory"));
    case Form::huggingface:
      break;
  }
  if (!fs::exists(path)) fail(path, ": cannot open: No such file or directory");
  if (!fs::is_directory(path))
    throw UsageError(str("--from ", path,
                         ": unknown format, expected a name that ends with .bin or .safetensors, or a ",
                         "directory"));
  if (!is_huggingface_directory(path))
    fail(path,
         ": has no model, expected model.safetensors or model.safetensors.index.json in this directory");
  return read_huggingface_model(path);
}

// The tokenizer of the model that is converted.
struct FoundTokenizer {
  std::string path;  // of a file, or of a directory with Hugging Face's files; "" if there is none
  std::optional<Tokenizer> tokenizer;

  const Tokenizer* get() const { return tokenizer ? &*tokenizer : nullptr; }
};

// Reads the tokenizer that the user gave, or the tokenizer in the directory of the model. If the tokenizer in
// the directory does not fit, the model is converted without it, and a message says why.
FoundTokenizer find_tokenizer_of(const ConvertCommand& command, const GPT2Config& config, Form to) {
  if (to == Form::safetensors) {
    if (command.tokenizer.empty()) return {};
    throw UsageError(str("--tokenizer: a .safetensors file cannot have a tokenizer, got --to ", command.to,
                         ", expected a .bin file, a .gguf file or a Hugging Face directory"));
  }
  const auto read = [&](const std::string& path) {
    FoundTokenizer found{path, Tokenizer::read(path)};
    found.tokenizer->check_vocabulary(command.from, config.vocab_size);
    if (to != Form::llmc) written_tokens(*found.tokenizer);  // Error if this format cannot hold the tokenizer
    return found;
  };
  if (!command.tokenizer.empty()) return read(command.tokenizer);
  const fs::path from(command.from);
  const std::string beside =
      tokenizer_path_beside(fs::is_directory(from) ? (from / "model.safetensors").string() : command.from);
  if (beside.empty()) return {};
  try {
    return read(beside);
  } catch (const Error& error) {
    std::cerr << "the model is converted without a tokenizer: " << error.what() << std::endl;
    return {};
  }
}

// The files that the model and its tokenizer are read from.
std::vector<std::string> inputs_of(const std::string& from, const StoredModel& model,
                                   const std::string& tokenizer) {
  std::vector<std::string> inputs;
  for (const FileView& file : model.files) inputs.push_back(file.path());
  const fs::path folder = fs::is_directory(from) ? fs::path(from) : fs::path(from).parent_path();
  if (form_of(from) != Form::llmc) inputs.push_back((folder / "config.json").string());
  if (fs::is_directory(tokenizer)) {
    for (const char* name : {"vocab.json", "merges.txt"})
      inputs.push_back((fs::path(tokenizer) / name).string());
  } else if (!tokenizer.empty()) {
    inputs.push_back(tokenizer);
  }
  return inputs;
}

bool same_file(const std::string& a, const std::string& b) {
  std::error_code none;
  return fs::equivalent(a, b, none);
}

// Error if a file that will be written is also read.
void check_outputs(const std::vector<std::string>& inputs, const std::vector<std::string>& outputs) {
  for (const std::string& output : outputs) {
    for (const std::string& input : inputs) {
      if (same_file(input, output))
        throw UsageError(str("--to: would overwrite ", output, ", which is also read (", input,
                             "), expected another path"));
    }
  }
}

template <class Write>
void write_file(const std::string& path, Write write) {
  AtomicFile file(path);
  write(file);
  file.commit();
}

void write_model(const std::string& to, Form form, const StoredModel& model, const FoundTokenizer& found) {
  switch (form) {
    case Form::llmc:
      write_file(to, [&](AtomicFile& file) { write_llmc_model(file, to, model); });
      if (found.tokenizer && !same_file(found.path, tokenizer_path_for(to)))
        found.tokenizer->write(tokenizer_path_for(to));
      break;
    case Form::safetensors:
      write_file(to, [&](AtomicFile& file) { write_safetensors_model(file, model); });
      break;
    case Form::gguf:
      write_file(to, [&](AtomicFile& file) { write_gguf(file, model, found.get()); });
      break;
    case Form::huggingface:
      write_huggingface_model(to, model, found.get());
      break;
  }
}

int run(const ConvertCommand& command) {
  const StoredModel model = read_model(command.from);
  const Form form = form_of(command.to);
  const FoundTokenizer found = find_tokenizer_of(command, model.config, form);
  check_outputs(inputs_of(command.from, model, found.path),
                form == Form::huggingface ? huggingface_files(command.to, found.tokenizer.has_value())
                                          : std::vector<std::string>{command.to});
  write_model(command.to, form, model, found);
  const GPT2Config& c = model.config;
  std::cout << command.to << ": GPT-2, maxT " << c.max_seq_len << "  V " << c.vocab_size << "  L " << c.layers
            << "  NH " << c.heads << "  C " << c.channels;
  if (found.tokenizer) std::cout << ", with its tokenizer (" << found.tokenizer->kind_name() << ")";
  std::cout << std::endl;
  return 0;
}

}  // namespace

void add_convert(CLI::App& app, Action& action) {
  CLI::App* convert =
      app.add_subcommand("convert", "Convert a model between the formats of several programs");
  auto command = std::make_shared<ConvertCommand>();
  convert
      ->add_option("--from", command->from,
                   "model to read: .bin (llm.c), .safetensors, or a Hugging Face directory")
      ->required();
  convert
      ->add_option(
          "--to", command->to,
          "model to write: .bin, .safetensors, .gguf (llama.cpp), or any other name for a Hugging Face "
          "directory")
      ->required();
  convert->add_option("--tokenizer", command->tokenizer,
                      str("tokenizer file or directory; ", kTokenizerRule));
  convert->callback([&action, command] { action = [command] { return run(*command); }; });
}

}  // namespace inkling
