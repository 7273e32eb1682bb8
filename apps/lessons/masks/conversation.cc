// Lesson 3, assistant-only masking: the documents' conversation about France, token by token.
#include <string>
#include <vector>

#include "apps/chat/chat_template.h"
#include "apps/lessons/gpt2_words.h"
#include "apps/lessons/masks/masks.h"
#include "apps/run/training_step.h"
#include "core/error.h"
#include "core/portable_math.h"
#include "optim/adamw.h"

namespace inkling {

using namespace page;

namespace {

constexpr std::int64_t kIterations = 100;
constexpr std::int32_t kIgnored = -100;  // the label of an ignored token in PyTorch; the engine's is -1
const Conversation kFrance = {
    {{Role::user, "What's the capital of France?"}, {Role::assistant, "The capital of France is Paris."}}};

// A token as it is shown: spaces and line ends can be seen.
std::string visible(std::int32_t index) {
  std::string text;
  for (const char c : gpt2_word(index).bytes) text += c == '\n' ? "⏎" : c == ' ' ? "␣" : std::string(1, c);
  return text == "<|endoftext|>" ? "<e>" : text;
}

// The label of a token: its id if it counts, -100 if not.
std::int32_t label_of(const ChatTokens& chat, std::size_t n) {
  return chat.counted[n] != 0 ? gpt2_word(chat.ids[n]).id : kIgnored;
}

std::int64_t counted_tokens(const ChatTokens& chat) {
  std::int64_t count = 0;
  for (const std::uint8_t counts : chat.counted) count += counts;
  return count;
}

// A small GPT learns this one conversation. The result is the probability of each token except the first.
std::vector<double> learned(const ChatTokens& chat, bool mask, std::uint64_t seed) {
  const std::int64_t T = std::ssize(chat.ids) - 1;
  std::vector<std::int32_t> ids(chat.ids.begin(), chat.ids.end() - 1),
      targets(chat.ids.begin() + 1, chat.ids.end());
  for (std::size_t t = 0; t < targets.size(); ++t) {
    if (mask && chat.counted[t + 1] == 0) targets[t] = -1;
  }
  GPT2 model({.max_seq_len = T,
              .vocab_size = gpt2_words_tokenizer().vocab_size(),
              .layers = 1,
              .heads = 2,
              .channels = 32});
  model.initialise(seed);
  AdamW optimizer(segments_of(model.parameters().table()), {});
  Tape tape;
  const MicroBatch batch{Tensor(ids.data(), {1, T}), Tensor(targets.data(), {1, T})};
  for (std::int64_t step = 1; step <= kIterations; ++step)
    training_step(model, optimizer, tape, {&batch, 1}, {.step = step, .lr = 0.01f});
  std::vector<double> p;
  std::vector<float> losses(static_cast<std::size_t>(T));
  Tape off(Recording::off);
  std::vector<std::int32_t> all(chat.ids.begin() + 1, chat.ids.end());
  model.token_losses(off, batch.ids, Tensor(all.data(), {1, T}), losses.data());
  for (const float loss : losses) p.push_back(portable::exp(-static_cast<double>(loss)));
  return p;
}

// The mean of -log p over the tokens that count, or over the tokens that do not count.
double mean_loss_of(const ChatTokens& chat, const std::vector<double>& p, bool counted) {
  double sum = 0, n = 0;
  for (std::size_t t = 0; t < p.size(); ++t) {
    if ((chat.counted[t + 1] != 0) != counted) continue;
    sum -= portable::log(p[t]);
    ++n;
  }
  return sum / n;
}

void token_row(Page& page, const ChatTokens& chat) {
  Tokens row{.caption = "Counted tokens are coloured; the number is the token's id in GPT-2's vocabulary",
             .tokens = {}};
  for (std::size_t n = 0; n < chat.ids.size(); ++n) {
    const bool counts = chat.counted[n] != 0;
    row.tokens.push_back({.text = visible(chat.ids[n]),
                          .value = counts ? 0.7 : 0,
                          .masked = !counts,
                          .note = std::to_string(gpt2_word(chat.ids[n]).id)});
  }
  page.add(row);
}

void token_table(Page& page, const ChatTokens& chat, const LessonSettings& settings) {
  settings.progress("learning one conversation, with the loss mask and without it");
  const auto with = COMPUTED(learned(chat, true, settings.seed));
  const auto without = COMPUTED(learned(chat, false, settings.seed));
  Table table{.caption = "Each token as a target, and its probability after {france.steps} steps",
              .columns = {"token", "id", "label", "$P$, with the mask", "$P$, without"}};
  for (std::size_t n = 0; n < chat.ids.size(); ++n) {
    const std::string name = str("france.", n, ".");
    const Ref id = page.number(name + "id", COMPUTED(gpt2_word(chat.ids[n]).id),
                               {.digits = 0, .formula = "the id in GPT-2's vocabulary", .label = "id"});
    if (n == 0) continue;  // nothing predicts the first token
    const Ref label = page.number(name + "label", COMPUTED(label_of(chat, n)),
                                  {.digits = 0,
                                   .formula = "the id if the token counts, -100 if not",
                                   .inputs = {id},
                                   .label = "label",
                                   .engine = "append in apps/chat/chat_template.cc"});
    const auto at = static_cast<std::int64_t>(n) - 1;
    const About about{.digits = 3,
                      .formula = "$e^{-loss}$ of the token",
                      .inputs = {label},
                      .label = "P",
                      .engine = "token_losses in nn/gpt2.cc"};
    table.rows.push_back({visible(chat.ids[n]), id, label, page.number(name + "p.masked", with.at(at), about),
                          page.number(name + "p.unmasked", without.at(at), about)});
  }
  page.add(table);
  const auto mean = [&](const std::string& name, const Computed<double>& computed) {
    page.number(name, computed,
                {.digits = 3,
                 .formula = "mean of $-log P$",
                 .label = "mean loss",
                 .engine = "token_losses in nn/gpt2.cc"});
  };
  mean("france.masked.answer", COMPUTED(mean_loss_of(chat, with.value, true)));
  mean("france.masked.question", COMPUTED(mean_loss_of(chat, with.value, false)));
  mean("france.unmasked.answer", COMPUTED(mean_loss_of(chat, without.value, true)));
  mean("france.unmasked.question", COMPUTED(mean_loss_of(chat, without.value, false)));
  page.paragraph(
      "Both models know the answer now: mean losses {france.masked.answer} and {france.unmasked.answer}. "
      "With the mask, nothing was learned from the question: its mean loss is {france.masked.question}. "
      "(Where it has the same words as the answer, they are known: `of France` follows `capital` there, "
      "too.) Without the mask, the model has also learned to ask: {france.unmasked.question}.");
}

}  // namespace

void assistant_only(Page& page, const LessonSettings& settings) {
  page.heading("The loss mask: learn from the answers only");
  page.paragraph(
      "A chat model learns from conversations, but it should learn to answer, not to ask. So a second mask "
      "says which tokens count in the loss. The causal mask stays as it is: the answer sees the whole "
      "question. This is the documents' conversation, in the engine's chat template, where `<e>` is "
      "end-of-text:");
  ChatTemplate chat_template(gpt2_words_tokenizer());
  const ChatTokens chat = chat_template.encode(kFrance);
  page.given("france.steps", static_cast<double>(kIterations),
             {.formula = "steps of training on this conversation", .label = "steps", .print = Print::count});
  page.number("france.tokens", COMPUTED(std::ssize(chat.ids)),
              {.formula = "all tokens", .label = "tokens", .print = Print::count});
  page.number("france.counted", COMPUTED(counted_tokens(chat)),
              {.formula = "tokens of the assistant's text, and the end-of-text after it",
               .inputs = {"france.tokens"},
               .label = "counted tokens",
               .engine = "append in apps/chat/chat_template.cc",
               .print = Print::count});
  token_row(page, chat);
  page.paragraph(
      "Of {france.tokens} tokens, {france.counted} count. A token that does not count gets the label -100 in "
      "PyTorch (-1 in the engine), and the loss skips it: no loss, no gradient, and it is not in the mean. "
      "The first token of the answer, `The`, does count: the model predicts it when it has read "
      "`Assistant:`. A small GPT learned this one conversation twice, with the mask and without it:");
  token_table(page, chat, settings);
  page.correction(
      std::string(kLessonNotes) + ", assistant-only masking",
      "the loss is calculated only for `The`, `capital`, `of`, `France`, `is`, `Paris` and `.`: 7 tokens.",
      "{france.counted}: the end-of-text after the answer counts, too. It is how a model learns to stop.");
}

}  // namespace inkling
