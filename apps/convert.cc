// inkling convert: writes a model in the format of another program.
#include <filesystem>
#include <iostream>
#include <optional>

#include "apps/commands.h"
#include "apps/interop/gguf.h"
#include "apps/interop/gpt2_safetensors.h"
#include "apps/interop/huggingface.h"
#include "apps/interop/llmc.h"
#include "apps/run/format.h"
#include "core/error.h"

namespace inkling {

namespace fs = std::filesystem;

namespace {

struct ConvertCommand {
  std::string from, to;
};

enum class Form { llmc, safetensors, gguf, huggingface };

// The form of a file follows from the end of its name. Every other name is a directory.
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
      throw UsageError(str("--from ", path,
                           ": GGUF files are only written, expected a .bin file, a .safetensors file or ",
                           "a directory of Hugging Face"));
    case Form::huggingface:
      break;
  }
  if (!fs::exists(path)) fail(path, ": cannot open: No such file or directory");
  if (!fs::is_directory(path))
    throw UsageError(str("--from ", path,
                         ": the name does not show the form, expected a name that ends with .bin or ",
                         ".safetensors, or a directory"));
  if (!is_huggingface_directory(path))
    fail(path,
         ": has no model, expected model.safetensors or model.safetensors.index.json in this directory");
  return read_huggingface_model(path);
}

// Error if a file that will be written is a file that the model is read from.
void check_output(const StoredModel& model, const std::vector<std::string>& outputs) {
  for (const std::string& output : outputs) {
    for (const FileView& input : model.files) {
      std::error_code none;
      if (fs::equivalent(input.path(), output, none))
        throw UsageError(str("--to: ", output, " is also read (", input.path(), "), expected another place"));
    }
  }
}

template <class Write>
void write_file(const std::string& path, Write write) {
  AtomicFile file(path);
  write(file);
  file.commit();
}

int run(const ConvertCommand& command) {
  const StoredModel model = read_model(command.from);
  const std::string& to = command.to;
  const Form form = form_of(to);
  const std::optional<Vocabulary> vocabulary;
  check_output(model, form == Form::huggingface ? huggingface_files(to, vocabulary.has_value())
                                                : std::vector<std::string>{to});
  switch (form) {
    case Form::llmc:
      write_file(to, [&](AtomicFile& file) { write_llmc_model(file, to, model); });
      break;
    case Form::safetensors:
      write_file(to, [&](AtomicFile& file) { write_safetensors_model(file, model); });
      break;
    case Form::gguf:
      write_file(to, [&](AtomicFile& file) { write_gguf(file, model, vocabulary); });
      break;
    case Form::huggingface:
      write_huggingface_model(to, model, vocabulary);
      break;
  }
  const GPT2Config& c = model.config;
  std::cout << to << ": GPT-2, maxT " << c.max_seq_len << "  V " << c.vocab_size
            << "  L " << c.layers << "  NH " << c.heads << "  C " << c.channels << std::endl;
  return 0;
}

}  // namespace

void add_convert(CLI::App& app, Action& action) {
  CLI::App* convert =
      app.add_subcommand("convert", "Convert a model between the formats of several programs");
  auto command = std::make_shared<ConvertCommand>();
  convert
      ->add_option("--from", command->from,
                   "model to read: .bin (llm.c), .safetensors, or a directory of Hugging Face")
      ->required();
  convert
      ->add_option(
          "--to", command->to,
          "model to write: .bin, .safetensors, .gguf (llama.cpp), or any other name for a directory of "
          "Hugging Face")
      ->required();
  convert->callback([&action, command] { action = [command] { return run(*command); }; });
}

}  // namespace inkling
