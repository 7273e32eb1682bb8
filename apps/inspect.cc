// inkling inspect: describes a file: its kind, header and statistics.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <unordered_map>

#include "apps/commands.h"
#include "apps/inspect_targets.h"
#include "apps/number_flag.h"
#include "apps/run/format.h"
#include "apps/run/optimizer_file.h"
#include "apps/text/choices.h"
#include "apps/text/shard.h"
#include "apps/text/token_flags.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/error.h"
#include "core/portable_math.h"
#include "nn/checkpoint.h"
#include "nn/file_header.h"

namespace inkling {

namespace {

// The magic number of llm.c's debug states. `inspect` prints only their header.
constexpr std::int32_t kDebugStateMagic = 20240327;

void print_model(const FileView& file) {
  ByteReader in(file), again(file);
  const ModelHeader header = read_model_header(in);
  const GPT2Config& c = header.config;
  std::cout << file.path() << ": GPT-2 checkpoint, " << name(header.dtype) << "\n"
            << "  maxT " << c.max_seq_len << "  V " << c.vocab_size << " (padded to " << c.padded_vocab_size()
            << ")  L " << c.layers << "  NH " << c.heads << "  C " << c.channels << "  head size "
            << c.head_size() << "\n"
            << "  " << format_count(c.parameter_count()) << " parameters, "
            << format_count(std::ssize(file.bytes())) << " bytes\n";
  GPT2 model = load_model(again);
  std::cout << "  tensor     shape                    mean      std dev   min       max       not finite\n";
  for (std::size_t t = 0; t < kGPT2Tensors; ++t) {
    const Parameter& p = model.parameters().table()[t];
    double sum = 0, squares = 0, least = INFINITY, most = -INFINITY;
    std::int64_t odd = 0;
    const std::span<const float> values = model.parameters().values_of(t);
    for (float v : values) {
      if (!std::isfinite(v)) {
        ++odd;
        continue;
      }
      sum += v;
      squares += static_cast<double>(v) * v;
      least = std::min<double>(least, v);
      most = std::max<double>(most, v);
    }
    const auto n = static_cast<double>(std::ssize(values) - odd);
    const double mean = sum / n;
    std::cout << "  " << std::left << std::setw(11) << p.name << std::setw(22) << str(p.shape) << std::right
              << std::fixed << std::setprecision(5) << std::setw(10) << mean << std::setw(10)
              << std::sqrt(std::max(0.0, squares / n - mean * mean)) << std::setw(10) << least
              << std::setw(10) << most << std::setw(10) << odd << "\n";
  }
}

void print_shard(const FileView& file) {
  const Shard shard(file.path());
  std::int32_t least = shard.size() > 0 ? shard[0] : 0, most = least;
  std::unordered_map<std::int32_t, std::int64_t> counts;
  for (std::int64_t i = 0; i < shard.size(); ++i) {
    const std::int32_t id = shard[i];
    least = std::min(least, id), most = std::max(most, id);
    ++counts[id];
  }
  double entropy = 0;
  for (const auto& [id, n] : counts) {
    const double p = static_cast<double>(n) / static_cast<double>(shard.size());
    entropy -= p * portable::log(p);
  }
  std::cout << file.path() << ": token shard, " << (shard.wide() ? "uint32" : "uint16") << "\n"
            << "  " << format_count(shard.size()) << " tokens, ids " << least << " to " << most << ", "
            << format_count(std::ssize(counts)) << " different\n"
            << "  entropy of single tokens " << format_fixed(entropy, 4)
            << " nats: the loss of a model that knows only how often each token occurs\n"
            << "  begins";
  for (std::int64_t i = 0; i < std::min<std::int64_t>(shard.size(), 16); ++i) std::cout << ' ' << shard[i];
  std::cout << "\n";
}

void print_tokenizer(const FileView& file) {
  const Tokenizer tokenizer = Tokenizer::read(file.path());
  std::size_t longest = 0;
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id)
    longest = std::max(longest, tokenizer.token(id).size());
  std::cout << file.path() << ": tokenizer, " << tokenizer.kind_name() << "\n"
            << "  " << format_count(tokenizer.vocab_size()) << " tokens, the longest has " << longest
            << " bytes; end-of-text is " << tokenizer.end_of_text() << "\n";
}

// `ones` says what a flag of 1 means.
void print_token_flags(const FileView& file, const FlagKind& kind, const char* ones) {
  ByteReader in(file);
  const FlagLayout layout = parse_token_flags(in, kind);
  const TokenFlags flags(kind, file.path(), layout.count);
  std::cout << file.path() << ": " << kind.name << "\n  " << format_count(layout.count) << " tokens, "
            << format_count(flags.count(0, layout.count)) << " of them " << ones << "\n";
  if (layout.row_tokens > 0) std::cout << "  packed into rows of T=" << layout.row_tokens << "\n";
}

void print_header(const FileView& file, const char* kind) {
  ByteReader in(file);
  const auto bytes = in.take(Header::kBytes, "header");
  std::int32_t h[Header::kInts];
  std::memcpy(h, bytes.data(), sizeof h);
  int last = Header::kInts;
  while (last > 2 && h[last - 1] == 0) --last;
  std::cout << file.path() << ": " << kind << ", " << format_count(in.size_bytes()) << " bytes\n  header";
  for (int i = 0; i < last; ++i) std::cout << ' ' << h[i];
  std::cout << "\n";
}

struct InspectCommand {
  std::vector<std::string> paths;
  bool show = false;
  ShownTargets shown;
};

bool is_jsonl(const std::string& path) {
  return std::filesystem::path(path).extension() == ".jsonl";
}

void inspect(const InspectCommand& command, const std::string& path) {
  if (is_jsonl(path)) return print_jsonl_targets(path, command.shown);
  const FileView file(path);
  ByteReader in(file);
  const std::int32_t magic = in.remaining_bytes() >= 4 ? in.read<std::int32_t>("magic") : 0;
  switch (magic) {
    case kModelMagic:
      return print_model(file);
    case kShardMagic:
    case kWideShardMagic:
      return command.show ? print_shard_targets(path, command.shown) : print_shard(file);
    case kTokenizerMagic:
      return print_tokenizer(file);
    case kLossMask.magic:
      return print_token_flags(file, kLossMask, "count as targets");
    case kDocumentStarts.magic:
      return print_token_flags(file, kDocumentStarts, "begin a document");
    case kDebugStateMagic:
      return print_header(file, "debug state (magic, version, B, T)");
    case kChoicesMagic:
      return print_header(file, "multiple-choice eval (magic, version, examples, longest example in bytes)");
    case kOptimizerMagic:
      return print_header(file, "optimiser state (magic, version, arrays, floats in each: low, high)");
    default:
      fail(path, ": not a file of inkling or llm.c: it starts with ", magic,
           ", expected the magic number of a model (", kModelMagic, "), debug state (", kDebugStateMagic,
           "), tokenizer (", kTokenizerMagic, "), shard (", kShardMagic, ", ", kWideShardMagic, "), eval (",
           kChoicesMagic, "), loss mask (", kLossMask.magic, "), document starts (", kDocumentStarts.magic,
           ") or optimiser state (", kOptimizerMagic, ")");
  }
}

}  // namespace

void add_inspect(CLI::App& app, Action& action) {
  CLI::App* inspect_app = app.add_subcommand(
      "inspect", "Describe files: kind, header and statistics; or what a model learns from them");
  auto command = std::make_shared<InspectCommand>();
  inspect_app
      ->add_option("files", command->paths,
                   "files of inkling or llm.c, or .jsonl files of conversations and documents")
      ->required();
  inspect_app->add_flag("--show", command->show,
                        "of a shard, print tokens, targets and whether these count; always for .jsonl files");
  const std::vector<CLI::Option*> of_show = {
      inspect_app->add_option("--tokenizer", command->shown.tokenizer,
                              "tokenizer file or directory; default: *_tokenizer.bin beside a shard"),
      number_flag(inspect_app->add_option("--from", command->shown.first, "first position to show"),
                  std::int64_t{0}, std::int64_t{1} << 50)
          ->capture_default_str(),
      number_flag(inspect_app->add_option("--tokens", command->shown.count, "number of positions to show"),
                  std::int64_t{1}, std::int64_t{1} << 30)
          ->capture_default_str()};
  inspect_app->callback([&action, command, of_show] {
    const bool shows = command->show || std::any_of(command->paths.begin(), command->paths.end(), is_jsonl);
    for (const CLI::Option* option : of_show) {
      if (!shows && option->count() > 0)
        throw UsageError(option->get_name() + " needs --show, or a .jsonl file");
    }
    action = [command] {
      for (const std::string& path : command->paths) inspect(*command, path);
      return 0;
    };
  });
}

}  // namespace inkling
