#include "apps/train_flags.h"

namespace inkling {

void add_train_flags(CLI::App& train, TrainCommand& command) {
  auto& given = command.flags.given;

  // A flag whose value goes into `given` under `key`.
  const auto flag = [&]<class T>(const char* name, const char* key, const char* help, T /*type*/,
                                 const char* group) {
    train
        .add_option_function<T>(
            name, [&given, key](const T& value) { given[nlohmann::json::json_pointer(key)] = value; }, help)
        ->group(group);
  };
  const std::string text;
  const std::int64_t number = 0;
  const double real = 0;

  const char* data = "Data";
  CLI::Option* stories =
      train
          .add_flag_function(
              "--stories", [](std::int64_t) {}, "train on generated stories (the default without --data)")
          ->group(data);
  flag("--data", "/data", "training shards (a glob of llm.c .bin files)", text, data);
  train.get_option("--data")->excludes(stories);
  flag("--val-data", "/val_data", "validation shards (default: the same name with val for train, if there)",
       text, data);
  flag("--tokenizer", "/tokenizer",
       "tokenizer file, to write samples as text, and for V (default: *_tokenizer.bin beside *_train*.bin)",
       text, data);
  flag("--batch-size", "/batch_size", "sequences in a batch (B)", number, data);
  flag("--seq-len", "/seq_len", "tokens in a sequence (T)", number, data);
  train
      .add_flag_function(
          "--shuffle,!--no-shuffle", [&given](std::int64_t n) { given["shuffle"] = n > 0; },
          "draw samples in llm.c's shuffled order (default), or take them in order")
      ->group(data);

  const char* model = "Model";
  train
      .add_option("--model", command.flags.model_name,
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
      .add_flag_function(
          "--recompute,!--no-recompute", [&given](std::int64_t n) { given["recompute"] = n > 0; },
          "compute each block's inside once more in backward: less memory, a third more arithmetic")
      ->group(optimiser);

  const char* running = "Run";
  train.add_option("--out", command.out, "directory of the run")->capture_default_str()->group(running);
  train.add_flag("--resume", command.resume, "continue the run in --out")->group(running);
  train.add_option("--threads", command.threads, "threads; the result does not depend on it")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str()
      ->group(running);
  flag("--seed", "/seed", "of initialisation, shuffling, stories and samples", std::uint64_t{0}, running);
  flag("--val-every", "/val_every", "steps between validations; 0: never", number, running);
  flag("--val-batches", "/val_batches", "batches a validation", number, running);
  flag("--sample-every", "/sample_every", "steps between samples of text; 0: never", number, running);
  flag("--save-every", "/save_every", "steps between checkpoints; 0: never", number, running);

  train
      .add_flag("--profile", command.profile,
                "at the end, a table of what the steps' time went into, op by op")
      ->group(running);
  train
      .add_option("--trace", command.trace,
                  "write the last three steps' ops on a time line to this file, for ui.perfetto.dev")
      ->group(running);
}

}  // namespace inkling
