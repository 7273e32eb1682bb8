#include "apps/train_flags.h"

#include "apps/number_flag.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/error.h"

namespace inkling {

namespace {

// Sets the range of a flag whose value is a number. `key` is the place of the setting in config.json.
template <class T>
void limit(CLI::Option* option, const std::string& key) {
  const auto limit_to = [&](const auto& ranges) {
    for (const auto& range : ranges) {
      if (key == str("/", range.key)) number_flag(option, range.least, range.most);
    }
  };
  if constexpr (std::is_same_v<T, double>) {
    limit_to(kRealNumberRanges);
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    number_flag(option, std::uint64_t{0}, UINT64_MAX);
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    if (key.starts_with("/model/")) {
      number_flag(option, std::int64_t{1}, GPT2Config::kMostDim);
    } else {
      limit_to(kWholeNumberRanges);
    }
  }
}

}  // namespace

void add_train_flags(CLI::App& train, TrainCommand& command) {
  auto& given = command.flags.given;

  // Adds a flag. The value that the user gives is stored in `given` under `key`.
  const auto flag = [&]<class T>(const char* name, const char* key, const std::string& help, T /*type*/,
                                 const char* group) {
    CLI::Option* option =
        train
            .add_option_function<T>(
                name, [&given, key](const T& value) { given[nlohmann::json::json_pointer(key)] = value; },
                help)
            ->group(group);
    limit<T>(option, key);
  };
  const std::string text;
  const std::int64_t number = 0;
  const double real = 0;

  const char* data = "Data";
  CLI::Option* stories = train
                             .add_flag_function(
                                 "--stories", [](std::int64_t) {},
                                 "train on generated stories, 4,000,000 tokens and 100,000 for validation, "
                                 "written with --seed; default: yes "
                                 "without --data")
                             ->group(data);
  flag("--data", "/data",
       "training shards: a file name or a pattern, for example 'my_*.bin'; default: generated stories", text,
       data);
  train.get_option("--data")->excludes(stories);
  flag(
      "--val-data", "/val_data",
      "validation shards; default: --data with `val` instead of `train`, if such files exist, otherwise none",
      text, data);
  flag("--tokenizer", "/tokenizer",
       str("tokenizer file or directory, for the text of samples and for V; ", kTokenizerRule), text, data);
  flag("--batch-size", "/batch_size",
       "sequences in a micro-batch of the whole run (B); default: 8, with --model or --init 4", number, data);
  flag(
      "--replicas", "/replicas",
      "equal parts of a micro-batch (R), which mpirun can divide over 1 to R ranks; the result depends on R, "
      "but not on the number of ranks; default: the number of ranks",
      number, data);
  flag(
      "--seq-len", "/seq_len",
      "tokens in a sequence (T); default: 128 for stories, 256 for your own text, 64 with --model or --init, "
      "the length of the rows for chats",
      number, data);
  train
      .add_flag_function(
          "--shuffle,!--no-shuffle", [&given](std::int64_t n) { given["shuffle"] = n > 0; },
          "take batches in llm.c's shuffled order, or in the order of the text; default: shuffled")
      ->group(data);

  train
      .add_flag_function(
          "--document-mask,!--no-document-mask", [&given](std::int64_t n) { given["document_mask"] = n > 0; },
          "attention and positions do not cross documents, so a document has no effect on the other "
          "documents in its row; default: yes for chats (data with *.starts), otherwise no")
      ->group(data);
  train
      .add_flag_function(
          "--loss-mask,!--no-loss-mask", [&given](std::int64_t n) { given["loss_mask"] = n > 0; },
          "train only on the targets that the shards' loss masks (*.mask) count: in chats, the assistant's "
          "tokens; --no-loss-mask counts every token; default: yes")
      ->group(data);

  const char* model =
      "Model (without these flags, your own text gets a model that suits its length and this machine)";
  train
      .add_option("--model", command.flags.model_name,
                  "gpt2:d12, gpt2:d24, gpt2:d36 or gpt2:d48; default: a small model with the sizes below")
      ->group(model);
  flag("--init", "/init", "start with the weights of this checkpoint; default: random weights", text, model);
  flag("--layers", "/model/layers",
       "transformer blocks (L); default: 2 for stories, 4 for your own text, with --model the model's",
       number, model);
  flag("--heads", "/model/heads", "attention heads (NH); default: 4, with --model the model's", number,
       model);
  flag("--channels", "/model/channels", "width (C); default: 128, with --model the model's", number, model);
  flag("--max-seq-len", "/model/max_seq_len",
       "the longest sequence that the model can read (maxT); default: --seq-len, or the model's if that is "
       "more",
       number, model);
  flag("--vocab-size", "/model/vocab_size",
       "tokens in the vocabulary (V); default: the tokenizer's; 50257 if there is no tokenizer", number,
       model);

  const char* optimiser = "Optimiser";
  flag("--steps", "/steps",
       "training steps (updates of the weights); default: 5000 for stories, 2000 for your own text, 200 with "
       "--model or --init",
       number, optimiser);
  flag("--grad-accum", "/grad_accum", "micro-batches in a training step; default: 1", number, optimiser);
  flag("--optimizer", "/optimizer", "adamw or sgd; default: adamw", text, optimiser);
  flag("--lr", "/lr", "highest learning rate; default: 0.0015, with --model or --init 0.0006", real,
       optimiser);
  flag("--min-lr", "/min_lr",
       "learning rate at the end; default: 0.00001 for stories, 0.00015 for your own text, 0.00006 with "
       "--model or --init, at most --lr",
       real, optimiser);
  flag("--warmup", "/warmup", "steps of linear warm-up; default: a tenth of --steps, at most 100", number,
       optimiser);
  flag("--schedule", "/schedule",
       "constant, linear, cosine or wsd (warm-up, stable, decay); default: wsd for stories, otherwise cosine",
       text, optimiser);
  flag("--weight-decay", "/weight_decay",
       "weight decay of matrices and embeddings; default: 0.01 for stories, otherwise 0.1", real, optimiser);
  flag("--beta1", "/beta1", "AdamW: decay of the running mean of gradients; default: 0.9", real, optimiser);
  flag("--beta2", "/beta2",
       "AdamW: decay of the running mean of squared gradients; default: 0.99, with --model or --init 0.95",
       real, optimiser);
  flag("--eps", "/eps", "AdamW: number added to the divisor, to avoid division by 0; default: 1e-8", real,
       optimiser);
  flag("--momentum", "/momentum", "SGD: share of the velocity that each step keeps; default: 0.9", real,
       optimiser);
  flag("--grad-clip", "/grad_clip",
       "maximum norm of the gradient: a longer gradient is shortened to this norm; 0: never; default: 1",
       real, optimiser);
  flag("--local-steps", "/local_steps",
       "for slow networks: steps that each replica takes on its own (H) before all replicas take one step "
       "with "
       "the mean of their changes; 0: never, all replicas add their gradients in each step; default: 0",
       number, optimiser);
  flag("--local-steps-dtype", "/local_steps_dtype",
       "how the replicas' changes are sent: f32, or bf16 for half of the bytes; default: f32", text,
       optimiser);
  flag("--outer-lr", "/outer_lr", "learning rate of the step with the mean of the changes; default: 1",
       real, optimiser);
  flag("--outer-momentum", "/outer_momentum", "Nesterov momentum of this step; default: 0.5", real,
       optimiser);
  flag("--precision", "/precision",
       "f32 or bf16; default: the faster one in a short measurement (a resumed run keeps the choice)", text,
       optimiser);
  train
      .add_flag_function(
          "--recompute,!--no-recompute", [&given](std::int64_t n) { given["recompute"] = n > 0; },
          "compute activations a second time in backward: takes less memory, but a third more arithmetic; "
          "default: no")
      ->group(optimiser);

  const char* running = "Run";
  train.add_option("--out", command.out, "directory of the run")->capture_default_str()->group(running);
  train.add_flag("--resume", command.resume, "continue the run in --out")->group(running);
  train
      .add_flag("--print-config", command.print_config,
                "print all settings of the run as JSON and do not train")
      ->group(running);
  number_flag(train.add_option("--threads", command.threads,
                               "number of threads of each rank; the result does not depend on it"),
              1, kMostThreads)
      ->capture_default_str()
      ->each([&command](const std::string&) { command.threads_given = true; })
      ->group(running);
  flag("--seed", "/seed", "seed of initial weights, shuffling, stories and samples; default: 42",
       std::uint64_t{0}, running);
  flag("--val-every", "/val_every", "steps between validations; 0: never; default: a fifth of --steps",
       number, running);
  flag("--val-batches", "/val_batches", "batches in a validation; default: 40", number, running);
  flag("--sample-every", "/sample_every",
       "steps between samples of text; 0: never; default: a fifth of --steps", number, running);
  flag("--save-every", "/save_every", "steps between checkpoints; 0: never; default: a fifth of --steps",
       number, running);

  train.add_flag("--profile", command.profile, "at the end, print a table of the time of each op")
      ->group(running);
  train
      .add_option("--trace", command.trace,
                  "write a time line of the last three steps to this file, for https://ui.perfetto.dev; "
                  "default: none")
      ->group(running);
}

}  // namespace inkling
