// inkling info: prints what this machine can do, and how much memory and time a training run on it needs.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/commands.h"
#include "apps/number_flag.h"
#include "apps/preflight/machine.h"
#include "apps/preflight/preflight.h"
#include "apps/preflight/probe.h"
#include "apps/ranks/forecast.h"
#include "apps/ranks/scaling.h"
#include "apps/run/flags.h"
#include "apps/run/format.h"
#include "apps/run/train_settings.h"
#include "apps/run/training_step.h"
#include "apps/token_text.h"
#include "core/cpu.h"
#include "core/error.h"
#include "core/parallel.h"
#include "nn/checkpoint.h"
#include "ops/kernels.h"

namespace inkling {

namespace {

using json = nlohmann::ordered_json;

constexpr double kMiB = 1 << 20, kGiB = 1 << 30;
constexpr std::int64_t kScalingLocalSteps = 50;  // of --scaling without --local-steps

struct InfoCommand {
  std::string model, precision = "f32";
  // 0: the flag was not given.
  GPT2Config dims{.max_seq_len = 0, .vocab_size = 0, .layers = 0, .heads = 0, .channels = 0};
  PreflightRequest request;
  std::int64_t seq_len = 0;  // T; 0 means 64, or the model's maximum if that is less
  int threads = hardware_threads();
  bool as_json = false;
  std::int64_t ranks = 0;  // 0: no forecast for several ranks
  double bandwidth_gbs = Network{}.bytes_per_second * 1e-9, latency_us = Network{}.latency_seconds * 1e6;
  std::int64_t local_steps = 0;
  std::string local_steps_dtype = "f32";
  bool scaling = false;          // print the table of many machines and bandwidths
  double step_ms = 0;            // the measured time of a step on one machine; 0: predicted
  std::string idle_flag;         // the complaint about a flag that has no effect with the others
  bool wants_preflight = false;  // whether the user gave at least one flag of a training run
};

// Returns the config of a named model or of a checkpoint, changed by the flags that the user gave.
GPT2Config model_of(const InfoCommand& command) {
  GPT2Config config;
  if (std::filesystem::is_regular_file(command.model)) {
    const FileView file(command.model);
    ByteReader in(file);
    config = read_model_header(in).config;
  } else if (!command.model.empty()) {
    try {
      config = GPT2Config::named(command.model);
    } catch (const Error& error) {
      throw UsageError(str(error.what(), ", or a checkpoint's file"));
    }
  }
  for (std::int64_t GPT2Config::*dim : {&GPT2Config::max_seq_len, &GPT2Config::vocab_size,
                                        &GPT2Config::layers, &GPT2Config::heads, &GPT2Config::channels}) {
    if (command.dims.*dim != 0) config.*dim = command.dims.*dim;
  }
  return config;
}

PreflightRequest request_of(const InfoCommand& command, Precision precision) {
  PreflightRequest request = command.request;
  request.model = model_of(command);
  from_flags([&] { request.model.check("model"); });
  request.precision = precision;
  constexpr std::int64_t kMost = std::int64_t{1} << 31;  // a batch has at most 2^31 tokens, like a shard
  request.seq_len =
      command.seq_len == 0 ? std::min(request.seq_len, request.model.max_seq_len) : command.seq_len;
  if (request.batch_size > kMost / request.seq_len) {
    throw UsageError(str("--batch-size is ", request.batch_size, ", expected at most ",
                         kMost / request.seq_len, " with T=", request.seq_len));
  }
  if (request.seq_len > request.model.max_seq_len) {
    throw UsageError(str("--seq-len is ", request.seq_len, ", expected at most the model's maximum of ",
                         request.model.max_seq_len));
  }
  return request;
}

json known(const std::optional<std::int64_t>& number) {
  return number ? json(*number) : json();
}

json machine_info(const Roof& roof, const SystemMemory& memory) {
  json isas = json::array();
  for (const Isa isa : available_isas()) isas.push_back(name(isa));
  return {{"cpu", cpu().model},
          {"instruction_sets", isas},
          {"kernels", name(kernels().isa)},
          {"threads", threads()},
          {"default_threads", hardware_threads()},
          {"default_threads_set_by", bound_of_threads()},
          {"memory_bytes", known(memory.total_bytes)},
          {"available_bytes", known(memory.available_bytes)},
          {"memory_set_by", memory.bound_by},
          {"roof",
           {{"fma_gflops", roof.fma_gflops},
            {"bf16_gflops", roof.bf16_gflops},
            {"triad_gbs", roof.triad_gbs},
            {"read_gbs", roof.read_gbs}}}};
}

// Returns the number of parameters in each of four groups, which are the parts of a transformer.
json parameter_groups(const GPT2Config& config) {
  json groups = {{"embeddings", 0}, {"attention", 0}, {"mlp", 0}, {"norms", 0}};
  for (const ParameterSpec& spec : gpt2_parameters(config)) {
    json& count = groups[spec.group];
    count = count.get<std::int64_t>() + spec.shape.numel();
  }
  return groups;
}

json preflight_info(const PreflightRequest& request, const Roof& roof, const SystemMemory& memory) {
  const Preflight preflight = rehearse(request);
  json parts = json::array();
  for (const Preflight::Part& part : preflight.memory)
    parts.push_back({{"what", part.name}, {"bytes", part.bytes}});
  const double seconds = predicted_seconds(preflight, probe(request));
  const std::optional<std::int64_t>& available = memory.available_bytes;
  const GPT2Config& c = request.model;
  const auto tokens = static_cast<double>(request.batch_size * request.seq_len * request.grad_accum);
  return {{"model",
           {{"max_seq_len", c.max_seq_len},
            {"vocab_size", c.vocab_size},
            {"layers", c.layers},
            {"heads", c.heads},
            {"channels", c.channels}}},
          {"batch_size", request.batch_size},
          {"seq_len", request.seq_len},
          {"grad_accum", request.grad_accum},
          {"precision", name(request.precision)},
          {"recompute", request.recompute},
          {"parameters", c.parameter_count()},
          {"parameter_groups", parameter_groups(c)},
          {"memory", parts},
          {"total_bytes", preflight.total_bytes()},
          {"fits", available ? json(preflight.total_bytes() <= *available) : json()},
          {"largest_batch_size", available ? json(largest_batch(request, *available)) : json()},
          {"step_seconds", seconds},
          {"tokens_per_s", tokens / seconds},
          {"flops_per_step", c.training_flops_per_token(request.seq_len) * tokens},
          {"generated_tokens_per_s", 1.0 / predicted_token_seconds(request, roof)},
          {"time_within_factor", kTimeFactor}};
}

Rounds rounds_of(const InfoCommand& command) {
  if (command.local_steps_dtype != "f32" && command.local_steps_dtype != "bf16")
    throw UsageError(str("--local-steps-dtype is ", command.local_steps_dtype, ", expected f32 or bf16"));
  return {command.local_steps, command.local_steps_dtype == "bf16" ? DType::bf16 : DType::f32};
}

// How the run scales to many machines, each with the batch of `request`.
json scaling_info(const InfoCommand& command, const PreflightRequest& request) {
  const Scaling all =
      scaling(request, probe(request), rounds_of(command), command.latency_us * 1e-6, command.step_ms * 1e-3);
  json rows = json::array();
  for (const Scaling::Row& row : all.rows) {
    json speeds = json::array();
    for (const Scaling::Speed& speed : row.speeds) {
      speeds.push_back(
          {{"gbits", speed.gbits}, {"together", speed.together}, {"local_steps", speed.local_steps}});
    }
    rows.push_back({{"machines", row.machines},
                    {"as_fast_as_machines", speeds},
                    {"crossover_gbits", row.crossover_gbits ? json(*row.crossover_gbits) : json()}});
  }
  return {{"step_seconds", all.step_seconds}, {"local_steps", command.local_steps}, {"rows", rows}};
}

// What the run needs on several ranks, and how much faster it is than on one machine.
json ranks_info(const InfoCommand& command, const PreflightRequest& request) {
  const Network network{command.bandwidth_gbs * 1e9, command.latency_us * 1e-6};
  const auto ranks = static_cast<int>(command.ranks);
  const RanksForecast needed =
      from_flags([&] { return forecast(request, ranks, network, rounds_of(command)); });
  json parts = json::array();
  for (const Preflight::Part& part : needed.of_rank.memory)
    parts.push_back({{"what", part.name}, {"bytes", part.bytes}});
  PreflightRequest of_rank = request;
  of_rank.batch_size /= ranks;
  const std::vector<OpTime> measured =
      probe(of_rank);  // once, so that the speedup is no noise of two measurements
  const double compute = predicted_seconds(needed.of_rank, measured),
               waiting = waiting_seconds(needed, predicted_backward_seconds(needed.of_rank, measured)),
               seconds = compute + waiting;
  const auto tokens = static_cast<double>(request.batch_size * request.seq_len * request.grad_accum);
  return {{"ranks", ranks},
          {"bandwidth_gbs", command.bandwidth_gbs},
          {"latency_us", command.latency_us},
          {"local_steps", command.local_steps},
          {"memory", parts},
          {"total_bytes", needed.of_rank.total_bytes()},
          {"sent_bytes", needed.sent_bytes},
          {"compute_seconds", compute},
          {"network_seconds", needed.network_seconds},
          {"waiting_seconds", waiting},
          {"step_seconds", seconds},
          {"tokens_per_s", tokens / seconds},
          {"speedup", predicted_seconds(rehearse(request), measured) / seconds}};
}

std::string memory_text(const json& machine) {
  const auto gib = [&](const char* key) {
    return machine[key].is_null() ? std::string("unknown")
                                  : format_fixed(machine[key].get<double>() / kGiB, 1) + " GiB";
  };
  const std::string set_by = machine["memory_set_by"];
  return str(gib("memory_bytes"), set_by.empty() ? "" : str(" (set by ", set_by, ")"),
             ", available: ", gib("available_bytes"));
}

void print_machine(const json& machine) {
  std::string isas;
  for (const json& isa : machine["instruction_sets"])
    isas += str(isas.empty() ? "" : ", ", isa.get<std::string>());
  const json& roof = machine["roof"];
  print_labelled("CPU", machine["cpu"]);
  print_labelled("can run", isas);
  print_labelled("runs", str(machine["kernels"].get<std::string>(), " (INKLING_ISA can choose another one)"));
  print_labelled("threads",
                 str(machine["threads"].get<int>(), " (default: ", machine["default_threads"].get<int>(),
                     ", set by ", machine["default_threads_set_by"].get<std::string>(), ")"));
  print_labelled("memory", memory_text(machine));
  print_labelled("arithmetic",
                 str(format_fixed(roof["fma_gflops"], 0), " GFLOP/s of fused multiply-adds in f32"));
  const double bf16 = roof["bf16_gflops"];
  print_labelled("", bf16 > 0 ? str(format_fixed(bf16 / 1000, 2), " TFLOP/s of products in bf16")
                              : std::string("no instruction for products of bf16; they are computed in f32"));
  print_labelled("bandwidth", str(format_fixed(roof["triad_gbs"], 1), " GB/s triad, ",
                                  format_fixed(roof["read_gbs"], 1), " GB/s reading"));
}

// A sentence. A terminal that is too narrow gets it in several lines.
void sentence(const std::string& text) {
  std::cout << wrapped(text, terminal(STDOUT_FILENO), 0) << "\n";
}

// A line of a table with two columns. On a narrow terminal, a value that does not fit beside its name stands
// below it.
void row(const std::string& what, const std::string& value) {
  constexpr std::size_t kWidth = 54, kValue = 12;
  const Terminal screen = terminal(STDOUT_FILENO);
  const std::size_t width =
      screen.columns == 0 ? kWidth : std::min(kWidth, static_cast<std::size_t>(screen.columns));
  const std::size_t room = width - std::min(width, std::max(kValue, width_of(value)));
  if (width_of(what) + 2 < room)
    std::cout << padded_right("  " + what, room) << padded_left(value, width - room) << "\n";
  else
    std::cout << wrapped("  " + what, screen, 4) << "\n" << padded_left(value, width) << "\n";
}

void print_model(const json& p) {
  const json& m = p["model"];
  std::cout << "\n";
  print_labelled("model", str("L ", m["layers"], "  NH ", m["heads"], "  C ", m["channels"], "  V ",
                              m["vocab_size"], "  maxT ", m["max_seq_len"]));
  print_labelled("parameters", format_count(p["parameters"]));
  for (const auto& [group, count] : p["parameter_groups"].items())
    print_labelled("  " + group, format_count(count));
}

void print_needed_memory(const json& p, const json& machine) {
  std::cout << "\n";
  sentence(str("Training with B=", p["batch_size"], " T=", p["seq_len"],
               p["grad_accum"] > 1 ? str(", ", p["grad_accum"], " micro-batches in a step") : "", ", ",
               p["precision"].get<std::string>(), p["recompute"] ? ", with --recompute" : "",
               ": memory, MiB"));
  const auto mib = [](const json& bytes) { return format_fixed(bytes.get<double>() / kMiB, 1); };
  for (const json& part : p["memory"]) row(part["what"], mib(part["bytes"]));
  row("total", mib(p["total_bytes"]));
  if (p["fits"].is_null()) {
    sentence("This system does not report its available memory, so it is not known whether this fits.");
    return;
  }
  row("available", mib(machine["available_bytes"]));
  sentence(str(p["fits"] ? "It fits. " : "It does not fit. ",
               p["largest_batch_size"] == 0
                   ? "Not even a batch of one sequence fits."
                   : str("The largest batch that fits is --batch-size ", p["largest_batch_size"], ".")));
}

void print_time(const json& p) {
  std::cout << "\n";
  sentence(str("Time, predicted within a factor of ", format_fixed(p["time_within_factor"], 1),
               " if nothing else runs on this machine"));
  sentence("(from the times of a miniature of this run, which was trained for three steps)");
  const double seconds = p["step_seconds"];
  row("a step", seconds < 60 ? str(format_fixed(seconds * 1000, 1), " ms") : format_duration(seconds));
  row("training", str(format_count(p["tokens_per_s"].get<std::int64_t>()), " tokens/s"));
  row("generating, one text at a time", str(format_fixed(p["generated_tokens_per_s"], 1), " tokens/s"));
}

void print_ranks(const json& p) {
  std::cout << "\n";
  sentence(str("On ", p["ranks"] == 1 ? "a machine" : str(p["ranks"], " machines"), " like this one, with ",
               format_fixed(p["bandwidth_gbs"], 3), " GB/s and ", format_fixed(p["latency_us"], 0),
               " us between them (--bandwidth, --latency)"));
  const auto ms = [&](const char* key) { return str(format_fixed(p[key].get<double>() * 1000, 1), " ms"); };
  row("memory of a rank", str(format_fixed(p["total_bytes"].get<double>() / kMiB, 1), " MiB"));
  row(p["local_steps"] > 0 ? "a rank sends in a step, on average" : "a rank sends in a step",
      str(format_fixed(p["sent_bytes"].get<double>() / kMiB, p["local_steps"] > 0 ? 3 : 1), " MiB"));
  row("computing", ms("compute_seconds"));
  row("messages", ms("network_seconds"));
  row("waiting for messages", ms("waiting_seconds"));
  row("a step", ms("step_seconds"));
  row("training", str(format_count(p["tokens_per_s"].get<std::int64_t>()), " tokens/s"));
  row("as fast as this many machines", format_fixed(p["speedup"], 2));
}

void print_scaling(const json& p, const std::string& sent_as) {
  std::cout << "\n";
  sentence(str("As fast as this many machines: all machines together in each step | --local-steps ",
               p["local_steps"], " in ", sent_as));
  sentence(str("(each machine computes the batch above in ",
               format_fixed(p["step_seconds"].get<double>() * 1000, 1), " ms; the messages are predicted)"));
  constexpr std::size_t kMachines = 9, kSpeeds = 20;
  std::cout << "\n" << padded_left("machines", kMachines);
  for (const double gbits : kScalingGbits) std::cout << padded_left(str(gbits, " Gbit/s"), kSpeeds);
  std::cout << "   local steps are faster\n";
  for (const json& one : p["rows"]) {
    std::cout << padded_left(str(one["machines"].get<int>()), kMachines);
    for (const json& speed : one["as_fast_as_machines"]) {
      std::cout << padded_left(str(format_fixed(speed["together"].get<double>(), 1), " | ",
                                   format_fixed(speed["local_steps"].get<double>(), 1)),
                               kSpeeds);
    }
    std::cout << "   "
              << (one["crossover_gbits"].is_null()
                      ? std::string("always")
                      : str("below ", format_fixed(one["crossover_gbits"].get<double>(), 1), " Gbit/s"))
              << "\n";
  }
}

int run(const InfoCommand& command) {
  if (!command.idle_flag.empty()) throw UsageError(command.idle_flag);
  set_threads(command.threads);
  const Precision precision = precision_flag(command.precision, Recording::on);
  const std::optional<PreflightRequest> request =
      command.wants_preflight ? std::optional(request_of(command, precision)) : std::nullopt;
  const Roof roof = best_roof();
  const SystemMemory memory = system_memory();
  json info = machine_info(roof, memory);
  if (request) info["preflight"] = preflight_info(*request, roof, memory);
  if (command.ranks > 0) info["preflight"]["ranks"] = ranks_info(command, *request);
  if (command.scaling) info["preflight"]["scaling"] = scaling_info(command, *request);
  if (command.as_json) {
    std::cout << info.dump(2) << "\n";
    return 0;
  }
  print_machine(info);
  if (!info.contains("preflight")) return 0;
  print_model(info["preflight"]);
  print_needed_memory(info["preflight"], info);
  print_time(info["preflight"]);
  if (command.ranks > 0) print_ranks(info["preflight"]["ranks"]);
  if (command.scaling) print_scaling(info["preflight"]["scaling"], command.local_steps_dtype);
  return 0;
}

}  // namespace

void add_info(CLI::App& app, Action& action) {
  CLI::App* info =
      app.add_subcommand("info", "Print what this machine can do, and the memory and time of a training run");
  auto command = std::make_shared<InfoCommand>();
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  const auto number = [&](const char* name, std::int64_t& value, std::int64_t most, const char* help) {
    return number_flag(info->add_option(name, value, help), std::int64_t{1}, most);
  };
  const char* preflight =
      "Memory and time of a training run (printed if one of these flags is given; default: GPT-2 124M)";
  info->add_option("--model", command->model,
                   "gpt2:d12, gpt2:d24, gpt2:d36, gpt2:d48, or a checkpoint; default: gpt2:d12")
      ->group(preflight);
  GPT2Config& dims = command->dims;
  number("--layers", dims.layers, GPT2Config::kMostDim,
         "transformer blocks (L); default: the model's, in gpt2:d12 12")
      ->group(preflight);
  number("--heads", dims.heads, GPT2Config::kMostDim,
         "attention heads (NH); default: the model's, in gpt2:d12 12")
      ->group(preflight);
  number("--channels", dims.channels, GPT2Config::kMostDim,
         "width (C); default: the model's, in gpt2:d12 768")
      ->group(preflight);
  number("--max-seq-len", dims.max_seq_len, GPT2Config::kMostDim,
         "positions (maxT); default: the model's, in gpt2:d12 1024")
      ->group(preflight);
  number("--vocab-size", dims.vocab_size, GPT2Config::kMostDim,
         "tokens in the vocabulary (V); default: the model's, in gpt2:d12 50257")
      ->group(preflight);
  const char* step = "A training step of this run";
  number("--batch-size", command->request.batch_size, kMost, "sequences in a batch (B)")
      ->capture_default_str()
      ->group(step);
  number("--seq-len", command->seq_len, kMost,
         "tokens in a sequence (T); default: 64, or the model's maximum if that is less")
      ->group(step);
  number("--grad-accum", command->request.grad_accum, kMostStepTokens, "micro-batches in a training step")
      ->capture_default_str()
      ->group(step);
  info->add_flag("--recompute", command->request.recompute,
                 "compute activations a second time in backward instead of storing them; default: no")
      ->group(step);
  info->add_option("--precision", command->precision, "f32 or bf16")->capture_default_str()->group(step);
  const char* ranks = "The same run on several machines";
  number("--ranks", command->ranks, kMostReplicas, "machines, with a rank on each (mpirun); default: none")
      ->group(ranks);
  number_flag(info->add_option("--bandwidth", command->bandwidth_gbs, "GB/s between two machines"), 1e-6, 1e6)
      ->capture_default_str()
      ->group(ranks);
  number_flag(info->add_option("--latency", command->latency_us, "microseconds of a short message"), 0.0, 1e6)
      ->capture_default_str()
      ->group(ranks);
  number_flag(info->add_option("--local-steps", command->local_steps,
                               "steps of each rank on its own between two outer steps; 0: none"),
              std::int64_t{0}, kMostCount)
      ->capture_default_str()
      ->group(ranks);
  info->add_option("--local-steps-dtype", command->local_steps_dtype, "how changes are sent: f32 or bf16")
      ->capture_default_str()
      ->group(ranks);
  info->add_flag("--scaling", command->scaling,
                 "print a table of 2 to 64 machines, each with this batch, at 1, 10 and 100 Gbit/s; it "
                 "compares --local-steps (default here: 50) with steps of all machines together")
      ->group(ranks);
  number_flag(info->add_option("--step-ms", command->step_ms,
                               "for --scaling: the measured time of a step on one machine, in milliseconds; "
                               "default: 0, predicted"),
              0.0, 1e9)
      ->group(ranks);
  number_flag(info->add_option("--threads", command->threads, "number of threads"), 1, kMostThreads)
      ->capture_default_str();
  info->add_flag("--json", command->as_json, "print the result as JSON");
  info->callback([&action, info, command, preflight, step, ranks] {
    for (const CLI::Option* option : info->get_options())
      command->wants_preflight |=
          option->count() > 0 &&
          (option->get_group() == preflight || option->get_group() == step || option->get_group() == ranks);
    const auto needs = [&](const std::string& flag, bool met, const char* other) {
      if (info->count(flag) > 0 && !met) command->idle_flag = str(flag, " needs ", other);
    };
    needs("--bandwidth", command->ranks > 0, "--ranks");
    needs("--step-ms", command->scaling, "--scaling");
    for (const char* flag : {"--latency", "--local-steps"})
      needs(flag, command->ranks > 0 || command->scaling, "--ranks or --scaling");
    if (command->scaling && command->local_steps == 0) command->local_steps = kScalingLocalSteps;
    needs("--local-steps-dtype", command->local_steps > 0, "--local-steps");
    action = [command] { return run(*command); };
  });
}

}  // namespace inkling
