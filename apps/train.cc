// inkling train: from token shards, or stories of its own, to a model.
#include <csignal>
#include <iostream>
#include <optional>

#include "apps/commands.h"
#include "apps/run/summary.h"
#include "apps/run/trace.h"
#include "apps/run/trainer.h"
#include "core/error.h"
#include "core/parallel.h"
#include "ops/kernels.h"

namespace inkling {

namespace {

volatile std::sig_atomic_t signal_received = 0;

// The step in progress is finished and saved; a second signal ends the process at once.
void stop_on_signals() {
  struct sigaction handler = {};
  handler.sa_handler = [](int signal) { signal_received = signal; };
  handler.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &handler, nullptr);
  sigaction(SIGTERM, &handler, nullptr);
}

struct TrainCommand {
  TrainFlags flags;
  std::string out = "runs/stories";
  int threads = hardware_threads();
  bool resume = false, profile = false;
  std::string trace;
};

// What was asked for of the time that the steps took.
void report_time(const TrainCommand& command, const TrainSettings& settings, ProfileReport& report) {
  if (command.profile) {
    report.print(std::cout, str(threads(), " threads, ", name(kernels().isa), ", ", settings.precision));
  }
  if (command.trace.empty()) return;
  write_trace(command.trace, report.profile().kept());
  std::cerr << "the last " << report.profile().kept().size() << " steps are in " << command.trace
            << " (open it in https://ui.perfetto.dev or chrome://tracing)" << std::endl;
}

int run(const TrainCommand& command) {
  set_threads(command.threads);
  // What is refused leaves no trace: the flags are looked at before the directory is made.
  const bool there = RunDirectory::has_run(command.out);
  if (command.resume && !there)
    throw UsageError(str(command.out, ": there is no run to resume here; leave out --resume to start one"));
  if (!command.resume && there) {
    throw UsageError(
        str(command.out, ": holds a run already; --resume continues it, another --out starts a new one"));
  }
  TrainSettings settings;
  if (!command.resume) settings = resolve(command.flags);
  RunDirectory directory(command.out);
  if (command.resume)
    settings = resolve_resumed(directory.read_config(), command.flags, directory.file("config.json"));
  Trainer trainer(settings, directory);
  if (command.resume) {
    trainer.resume([](const std::string& line) { std::cerr << "inkling: " << line << std::endl; });
  } else {
    trainer.start();
  }
  directory.write_config(settings);
  print_plan(std::cerr, settings, trainer.step());

  std::optional<ProfileReport> report;
  if (command.profile || !command.trace.empty()) trainer.watch(report.emplace());
  if (!command.trace.empty())
    write_trace(command.trace, {});  // a wrong path is found before the work, not after

  stop_on_signals();
  const bool complete = trainer.run([] { return signal_received != 0; });
  if (complete) {
    print_summary(std::cout, settings, trainer, command.out);
  } else {
    std::cerr << "stopped after step " << trainer.step() << " of " << settings.steps
              << ", all saved. Continue with:\n  inkling train --out " << command.out << " --resume"
              << std::endl;
  }
  if (report) report_time(command, settings, *report);
  return complete ? 0 : 128 + signal_received;
}

}  // namespace

void add_train(CLI::App& app, Action& action) {
  CLI::App* train = app.add_subcommand(
      "train", "Train a model on token shards, or on stories of inkling's own (the default)");
  auto command = std::make_shared<TrainCommand>();
  auto& given = command->flags.given;

  // A flag whose value goes into `given` under `key`.
  const auto flag = [&]<class T>(const char* name, const char* key, const char* help, T /*type*/,
                                 const char* group) {
    train
        ->add_option_function<T>(
            name, [&given, key](const T& value) { given[nlohmann::json::json_pointer(key)] = value; }, help)
        ->group(group);
  };
  const std::string text;
  const std::int64_t number = 0;
  const double real = 0;

  const char* data = "Data";
  CLI::Option* stories =
      train
          ->add_flag_function(
              "--stories", [](std::int64_t) {}, "train on generated stories (the default without --data)")
          ->group(data);
  flag("--data", "/data", "training shards (a glob of llm.c .bin files)", text, data);
  train->get_option("--data")->excludes(stories);
  flag("--val-data", "/val_data", "validation shards (default: the same name with val for train, if there)",
       text, data);
  flag("--tokenizer", "/tokenizer",
       "tokenizer file, to write samples as text, and for V (default: *_tokenizer.bin beside *_train*.bin)",
       text, data);
  flag("--batch-size", "/batch_size", "sequences in a batch (B)", number, data);
  flag("--seq-len", "/seq_len", "tokens in a sequence (T)", number, data);
  train
      ->add_flag_function(
          "--shuffle,!--no-shuffle", [&given](std::int64_t n) { given["shuffle"] = n > 0; },
          "draw samples in llm.c's shuffled order (default), or take them in order")
      ->group(data);

  const char* model = "Model";
  train
      ->add_option("--model", command->flags.model_name,
                   "gpt2:d12, gpt2:d24, gpt2:d36 or gpt2:d48; default a small one")
      ->group(model);
  flag("--init", "/init", "start from this checkpoint", text, model);
  flag("--layers", "/model/layers", "transformer blocks (L)", number, model);
  flag("--heads", "/model/heads", "attention heads (NH)", number, model);
  flag("--channels", "/model/channels", "width (C)", number, model);
  flag("--max-seq-len", "/model/max_seq_len", "positions the model can tell apart (maxT)", number, model);
  flag("--vocab-size", "/model/vocab_size", "tokens in the vocabulary (V)", number, model);

  const char* optimiser = "Optimiser";
  flag("--steps", "/steps", "updates", number, optimiser);
  flag("--grad-accum", "/grad_accum", "micro-batches an update", number, optimiser);
  flag("--optimizer", "/optimizer", "adamw or sgd", text, optimiser);
  flag("--lr", "/lr", "peak learning rate", real, optimiser);
  flag("--min-lr", "/min_lr", "learning rate at the end", real, optimiser);
  flag("--warmup", "/warmup", "steps of linear warm-up", number, optimiser);
  flag("--schedule", "/schedule", "constant, linear, cosine or wsd", text, optimiser);
  flag("--weight-decay", "/weight_decay", "of matrices and embeddings", real, optimiser);
  flag("--beta1", "/beta1", "AdamW: memory of the gradient", real, optimiser);
  flag("--beta2", "/beta2", "AdamW: memory of its square", real, optimiser);
  flag("--eps", "/eps", "AdamW: keeps the division finite", real, optimiser);
  flag("--momentum", "/momentum", "SGD: memory of the gradient", real, optimiser);
  flag("--grad-clip", "/grad_clip", "greatest global norm of the gradient; 0: off", real, optimiser);
  flag("--precision", "/precision",
       "f32 or bf16. Left out: f32 for --model and --init, otherwise bf16 where the CPU has AMX", text,
       optimiser);
  train
      ->add_flag_function(
          "--recompute,!--no-recompute", [&given](std::int64_t n) { given["recompute"] = n > 0; },
          "compute each block's inside once more in backward: less memory, a third more arithmetic")
      ->group(optimiser);

  const char* running = "Run";
  train->add_option("--out", command->out, "directory of the run")->capture_default_str()->group(running);
  train->add_flag("--resume", command->resume, "continue the run in --out")->group(running);
  train->add_option("--threads", command->threads, "threads; the result does not depend on it")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str()
      ->group(running);
  flag("--seed", "/seed", "of initialisation, shuffling, stories and samples", std::uint64_t{0}, running);
  flag("--val-every", "/val_every", "steps between validations; 0: never", number, running);
  flag("--val-batches", "/val_batches", "batches a validation", number, running);
  flag("--sample-every", "/sample_every", "steps between samples of text; 0: never", number, running);
  flag("--save-every", "/save_every", "steps between checkpoints; 0: never", number, running);

  train
      ->add_flag("--profile", command->profile,
                 "at the end, a table of what the steps' time went into, op by op")
      ->group(running);
  train
      ->add_option("--trace", command->trace,
                   "write the last three steps' ops on a time line to this file, for ui.perfetto.dev")
      ->group(running);

  train->callback([&action, command] { action = [command] { return run(*command); }; });
}

}  // namespace inkling
