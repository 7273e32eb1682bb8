// Lesson 1: the task of a language model, and where its labels come from.
#include "apps/lessons/the_task/the_task.h"

#include <cmath>
#include <vector>

#include "apps/lessons/gpt2_words.h"
#include "apps/page/markup.h"
#include "apps/text/label_shift.h"
#include "core/error.h"
#include "core/portable_math.h"
#include "core/tape.h"
#include "ops/cross_entropy.h"

namespace inkling {

using namespace page;

std::string quoted(const std::string& token) {
  return "\"" + token + "\"";
}

namespace {

// A sentence of the documents. Its numbers are NAME.token.0, NAME.token.1 ...
struct Sentence {
  std::string name, text;
};
const Sentence kParis = {"paris", "The capital is Paris"};
const Sentence kCat = {"cat", "The cat sat on the mat"};
const Sentence kHumans = {"humans", "We are all humans born to make mistakes"};

std::int32_t id_at(const std::vector<Gpt2Word>& words, std::int64_t t) {
  return words[static_cast<std::size_t>(t)].id;
}

// The numbers of a sentence: its ids, and for each input the id of its target.
void sentence_numbers(Page& page, const Sentence& sentence) {
  const std::vector<Gpt2Word> words = gpt2_words(sentence.text);
  for (std::int64_t t = 0; t < std::ssize(words); ++t) {
    const std::string& bytes = words[static_cast<std::size_t>(t)].bytes;
    page.number(str(sentence.name, ".token.", t), COMPUTED(id_at(words, t)),
                {.digits = 0,
                 .formula = "the id of " + verbatim(quoted(bytes)) + " in GPT-2's vocabulary",
                 .label = "id of " + quoted(bytes)});
  }
  for (std::int64_t t = 0; t + 1 < std::ssize(words); ++t) {
    page.number(str(sentence.name, ".target.", t), COMPUTED(id_at(words, target_of(t))),
                {.digits = 0,
                 .formula = str("$token_{", t, " + 1}$"),
                 .inputs = {str(sentence.name, ".token.", t + 1)},
                 .label = str("target at position ", t),
                 .engine = "target_of in apps/text/label_shift.h"});
  }
  page.number(sentence.name + ".pairs", COMPUTED(std::ssize(words) - 1),
              {.formula = "tokens - 1", .label = "prediction tasks", .print = Print::count});
}

Tokens id_row(const Sentence& sentence) {
  Tokens row{.caption = "", .tokens = {}};
  for (const Gpt2Word& word : gpt2_words(sentence.text))
    row.tokens.push_back({.text = word.bytes, .note = std::to_string(word.id)});
  return row;
}

// ---- 1. Labels from the text itself ----

Table prefix_table(const Sentence& sentence) {
  const std::vector<Gpt2Word> words = gpt2_words(sentence.text);
  Table table{.caption = "", .columns = {"sees", "must predict", "id"}};
  std::string prefix;
  for (std::int64_t t = 0; t + 1 < std::ssize(words); ++t) {
    prefix += words[static_cast<std::size_t>(t)].bytes;
    table.rows.push_back({prefix, quoted(words[static_cast<std::size_t>(target_of(t))].bytes),
                          Ref(str(sentence.name, ".target.", t))});
  }
  return table;
}

void labels_from_text(Page& page) {
  page.heading("The text is its own label");
  page.paragraph(
      "To teach a program to tell cats from dogs, a person must label every picture. This is *supervised* "
      "learning. A language model needs no person: it hides the next word of a text, guesses it, and looks. "
      "The label comes from the text itself, so this is *self-supervised* learning. Each beginning of a "
      "sentence is one task.");
  page.alternatives("prefixes", "Every prefix, and the word that comes next", [&] {
    for (const Sentence& sentence : {kCat, kHumans, kParis}) {
      page.step(sentence.text);
      page.add(id_row(sentence));
      page.add(prefix_table(sentence));
      page.paragraph(str("This sentence is {", sentence.name, ".pairs} tasks."));
    }
  });
  page.correction("Training the LLM, introduction", "the data is structured in bigram style.",
                  "a bigram sees one word only. These tasks see the whole prefix: the last of {humans.pairs} "
                  "tasks in *We are all humans born to make mistakes* sees {humans.pairs} tokens.");
}

// ---- 2. The label shift ----

void label_shift(Page& page) {
  page.heading("The label shift");
  page.paragraph(
      "A model sees numbers, not words. GPT-2 knows 50,257 tokens, and these are its ids for *The capital is "
      "Paris*. Most tokens begin with a space:");
  page.add(id_row(kParis));
  page.paragraph(
      "The inputs are all ids but the last, and the targets are all ids but the first. Both are the same "
      "list, moved by one place:");
  page.formula("target_t = token_{t + 1}");
  const std::vector<Gpt2Word> words = gpt2_words(kParis.text);
  Table table{.caption = "", .columns = {"position", "input", "id", "target", "id"}};
  for (std::int64_t t = 0; t + 1 < std::ssize(words); ++t) {
    table.rows.push_back(
        {std::to_string(t), quoted(words[static_cast<std::size_t>(t)].bytes), Ref(str("paris.token.", t)),
         quoted(words[static_cast<std::size_t>(target_of(t))].bytes), Ref(str("paris.target.", t))});
  }
  page.add(table);
  page.correction("The learning signal, why do we shift",
                  "the drawing has four inputs, and `...` as the fourth target.",
                  "four tokens make {paris.pairs} tasks. `Paris` has no target, because the text ends there. "
                  "In training, a row of $T$ inputs is cut from $T + 1$ tokens of a longer text.");
  const std::vector<Gpt2Word> bare = gpt2_words("capital");
  page.number(
      "bare.capital", COMPUTED(id_at(bare, 0)),
      {.digits = 0, .formula = "the id of \"capital\" without a space", .label = "id of \"capital\""});
  page.correction("The learning signal, label shifting",
                  "the first example predicts `capital`, without a space.",
                  "the id {paris.token.1} is \" capital\", with its space. Without a space, `capital` is "
                  "another token, {bare.capital}.");
}

// ---- 3. Right and wrong ----

// The gradient of the loss with respect to the target's logit, by the engine's tape.
double target_gradient(double p) {
  float logits[] = {static_cast<float>(portable::log(p)), static_cast<float>(portable::log(1 - p))},
        gradient[2];
  std::int32_t target = 0;
  Tape tape;
  const Tensor z = tape.leaf(logits, gradient, {1, 2}, LeafGradient::overwrite);
  tape.backward(cross_entropy(tape, z, Tensor(&target, {1}), 2));
  return static_cast<double>(gradient[0]);
}

void no_right_or_wrong(Page& page) {
  for (const auto& [name, p] : {std::pair{"likely", 0.78}, std::pair{"unlikely", 0.01}}) {
    const Ref given =
        page.given(str("signal.", name, ".p"), p,
                   {.digits = 2, .formula = "a probability of the lesson notes", .label = "P(mat)"});
    page.number(str("signal.", name, ".gradient"), COMPUTED(target_gradient(p)),
                {.digits = 2,
                 .formula = "$p - 1$",
                 .inputs = {given},
                 .label = "gradient of the target's logit",
                 .engine = "cross_entropy_backward in ops/cross_entropy_simd.h"});
  }
  page.correction("Layman's terms, self-supervised learning",
                  "a correct prediction is reinforced, and an incorrect one is penalised.",
                  "training does not ask whether the likeliest word was right. It always makes the true next "
                  "word likelier, by a signal of $p - 1$: {signal.unlikely.gradient} if the word had "
                  "{signal.unlikely.p}, and still {signal.likely.gradient} if it had {signal.likely.p} and "
                  "was the first choice.");
}

void write(Page& page, const LessonSettings& settings) {
  page.lede(
      "A language model learns one task: which token comes next? Every text is full of such tasks, with "
      "their answers.");
  for (const Sentence& sentence : {kParis, kCat, kHumans}) sentence_numbers(page, sentence);
  labels_from_text(page);
  label_shift(page);
  no_right_or_wrong(page);
  GPT2 model = train_on_the_task(page, settings);
  one_pass(page, model);
  settings.progress("free running");
  teacher_forcing(page, model, settings);
  errors_compound(page, model, settings);
}

}  // namespace

Lesson the_task() {
  return {1,
          "The task",
          "labels from the text itself, the label shift, teacher forcing and free running",
          {{"no-shift", "train with each token as its own target"}},
          write};
}

}  // namespace inkling
