// inkling inspect: describes a file: its kind, header and statistics.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <unordered_map>

#include "apps/bad_lines.h"
#include "apps/commands.h"
#include "apps/inspect_targets.h"
#include "apps/number_flag.h"
#include "apps/run/format.h"
#include "apps/run/optimizer_file.h"
#include "apps/text/choices.h"
#include "apps/text/file_kind.h"
#include "apps/text/shard.h"
#include "apps/text/token_flags.h"
#include "apps/token_text.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/error.h"
#include "core/portable_math.h"
#include "nn/checkpoint.h"
#include "nn/file_header.h"

namespace inkling {

namespace {

// A line of the description of a file. A terminal that is too narrow gets it in several lines.
void print_line(const std::string& text) {
  std::cout << wrapped(text, terminal(STDOUT_FILENO), 4) << "\n";
}

struct Statistics {
  double mean = 0, deviation = 0, least = INFINITY, most = -INFINITY;
  std::int64_t not_finite = 0;
};

// Numbers that are not finite are counted, and take no part in the others.
Statistics statistics_of(std::span<const float> values) {
  Statistics s;
  double sum = 0, squares = 0;
  for (float v : values) {
    if (!std::isfinite(v)) {
      ++s.not_finite;
      continue;
    }
    sum += v;
    squares += static_cast<double>(v) * v;
    s.least = std::min<double>(s.least, v);
    s.most = std::max<double>(s.most, v);
  }
  const auto n = static_cast<double>(std::ssize(values) - s.not_finite);
  s.mean = sum / n;
  s.deviation = std::sqrt(std::max(0.0, squares / n - s.mean * s.mean));
  return s;
}

constexpr const char* kTensorTitle =
    "  tensor     shape                    mean      std dev   min       max       not finite";

// A line of the table of tensors, or, on a terminal without room for the table, the tensor's name and shape,
// and then its numbers.
void print_tensor(const Parameter& p, const Statistics& s, bool table) {
  if (table) {
    std::cout << "  " << std::left << std::setw(11) << p.name << std::setw(22) << str(p.shape) << std::right
              << std::fixed << std::setprecision(5) << std::setw(10) << s.mean << std::setw(10) << s.deviation
              << std::setw(10) << s.least << std::setw(10) << s.most << std::setw(10) << s.not_finite << "\n";
    return;
  }
  print_line(str("  ", p.name, " ", str(p.shape)));
  print_line(str("    mean ", format_fixed(s.mean, 5), "  std dev ", format_fixed(s.deviation, 5)));
  print_line(str("    min ", format_fixed(s.least, 5), "  max ", format_fixed(s.most, 5)));
  if (s.not_finite > 0) print_line(str("    not finite ", s.not_finite));
}

void print_model(const FileView& file) {
  ByteReader in(file), again(file);
  const ModelHeader header = read_model_header(in);
  const GPT2Config& c = header.config;
  print_line(str(file.path(), ": GPT-2 checkpoint, ", name(header.dtype)));
  print_line(str("  maxT ", c.max_seq_len, "  V ", c.vocab_size, " (padded to ", c.padded_vocab_size(),
                 ")  L ", c.layers, "  NH ", c.heads, "  C ", c.channels, "  head size ", c.head_size()));
  print_line(str("  ", format_number_of(c.parameter_count(), "parameter"), ", ",
                 format_number_of(std::ssize(file.bytes()), "byte")));
  GPT2 model = load_model(again);
  const Terminal screen = terminal(STDOUT_FILENO);
  const bool table =
      screen.columns == 0 || width_of(kTensorTitle) <= static_cast<std::size_t>(screen.columns);
  if (table) std::cout << kTensorTitle << "\n";
  for (std::size_t t = 0; t < kGPT2Tensors; ++t)
    print_tensor(model.parameters().table()[t], statistics_of(model.parameters().values_of(t)), table);
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
  print_line(str(file.path(), ": token shard, ", shard.wide() ? "uint32" : "uint16"));
  print_line(str("  ", format_number_of(shard.size(), "token"), ", ids ", least, " to ", most, ", ",
                 format_count(std::ssize(counts)), " different"));
  print_line(str("  entropy of single tokens ", format_fixed(entropy, 4),
                 " nats: the loss of a model that knows only how often each token occurs"));
  std::string begins = "  begins";
  for (std::int64_t i = 0; i < std::min<std::int64_t>(shard.size(), 16); ++i) begins += str(' ', shard[i]);
  print_line(begins);
}

void print_tokenizer(const FileView& file) {
  const Tokenizer tokenizer = Tokenizer::read(file.path());
  std::size_t longest = 0;
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id)
    longest = std::max(longest, tokenizer.token(id).size());
  print_line(str(file.path(), ": tokenizer, ", tokenizer.kind_name()));
  print_line(str("  ", format_number_of(tokenizer.vocab_size(), "token"), ", the longest has ",
                 format_number_of(static_cast<std::int64_t>(longest), "byte"), "; end-of-text is ",
                 tokenizer.end_of_text()));
}

// `ones` says what a flag of 1 means.
void print_token_flags(const FileView& file, const FlagKind& kind, const char* ones) {
  ByteReader in(file);
  const FlagLayout layout = parse_token_flags(in, kind);
  const TokenFlags flags(kind, file.path(), layout.count);
  print_line(str(file.path(), ": ", kind.name));
  print_line(str("  ", format_number_of(layout.count, "token"), ", ",
                 format_count(flags.count(0, layout.count)), " ", ones));
  if (layout.row_tokens > 0) print_line(str("  packed into rows of T=", layout.row_tokens));
}

void print_header(const FileView& file, const char* kind) {
  ByteReader in(file);
  const auto bytes = in.take(Header::kBytes, "header");
  std::int32_t h[Header::kInts];
  std::memcpy(h, bytes.data(), sizeof h);
  int last = Header::kInts;
  while (last > 2 && h[last - 1] == 0) --last;
  print_line(str(file.path(), ": ", kind, ", ", format_number_of(in.size_bytes(), "byte")));
  std::string entries = "  header";
  for (int i = 0; i < last; ++i) entries += str(' ', h[i]);
  print_line(entries);
}

struct InspectCommand {
  std::vector<std::string> paths;
  bool show = false;
  ShownTargets shown;
};

bool is_jsonl(const std::string& path) {
  return std::filesystem::path(path).extension() == ".jsonl";
}

// Error if the file is of a kind that other programs write, or is text.
void expect_own_file(const std::string& path, const FileView& file) {
  constexpr std::size_t kBeginning = 512;
  const std::string_view beginning = file.text().substr(0, kBeginning);
  const FileKind kind = file_kind(beginning);
  if (!kind.name.empty() || looks_like_text(beginning)) {
    fail(path, ": is ", kind.name.empty() ? "text" : kind.name,
         ", expected a file of inkling or llm.c, or a .jsonl file");
  }
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
      return print_token_flags(file, kLossMask, "counted as targets");
    case kDocumentStarts.magic:
      return print_token_flags(file, kDocumentStarts, "at the beginning of a document");
    case kDebugStateMagic:
      return print_header(file, "debug state (magic, version, B, T)");
    case kChoicesMagic:
      return print_header(file, "multiple-choice eval (magic, version, examples, longest example in bytes)");
    case kOptimizerMagic:
      return print_header(file, "optimiser state (magic, version, arrays, floats in each: low, high)");
    default:
      expect_own_file(path, file);
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
                              str("tokenizer file or directory; a .jsonl file needs it; ", kTokenizerRule)),
      number_flag(inspect_app->add_option("--from", command->shown.first, "first position to show"),
                  std::int64_t{0}, std::int64_t{1} << 50)
          ->capture_default_str(),
      number_flag(inspect_app->add_option("--tokens", command->shown.count, "number of positions to show"),
                  std::int64_t{1}, std::int64_t{1} << 30)
          ->capture_default_str()};
  const std::vector<CLI::Option*> of_jsonl = {
      number_flag(inspect_app->add_option("--seq-len", command->shown.seq_len,
                                          "of a .jsonl file, show what tokenize makes of it for rows of this "
                                          "many tokens (T): longer conversations lose their oldest turns"),
                  std::int64_t{2}, std::int64_t{1} << 20)
          ->capture_default_str(),
      add_strict_flag(*inspect_app, command->shown.strict)};
  inspect_app->callback([&action, command, of_show, of_jsonl] {
    const bool jsonl = std::any_of(command->paths.begin(), command->paths.end(), is_jsonl);
    for (const CLI::Option* option : of_jsonl) {
      if (!jsonl && option->count() > 0) throw UsageError(option->get_name() + " needs a .jsonl file");
    }
    const bool shows = command->show || jsonl;
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
