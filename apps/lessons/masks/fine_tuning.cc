// Lesson 3, proof that the loss mask matters: the same model learns to answer twice, with the mask and
// without it.
#include <algorithm>
#include <array>
#include <string>

#include "apps/chat/chat_template.h"
#include "apps/eval/chat_eval.h"
#include "apps/lessons/masks/masks.h"
#include "apps/lessons/masks/story_talk.h"
#include "apps/lessons/story_run.h"
#include "apps/page/markup.h"
#include "apps/run/training_step.h"
#include "apps/talk/history.h"
#include "core/error.h"
#include "nn/generate.h"
#include "optim/adamw.h"

namespace inkling {

using namespace page;

namespace {

constexpr std::uint64_t kTalkStream = 3201, kHeldOutStream = 3202, kStoryStream = 3204, kAskStream = 3203;
constexpr std::int64_t kB = 8, kHeldOut = 60, kShown = 6, kStoryRows = 16, kStoryTokens = 64, kAsked = 70;
constexpr std::array<std::int64_t, 6> kMilestones = {25,  50,  100,
                                                     150, 200, 300};  // steps at which models are compared
constexpr std::int64_t kTalkStep = 100;  // after this step, the page shows what the models write
constexpr double kRate = 2e-3, kWarmUpSteps = 20;

// ---- Rows of chats ----

enum class Counts { answers, questions, everything };

struct TalkRows {
  std::int64_t B;
  std::vector<std::int32_t> ids, targets;
  std::vector<std::int32_t> targets_of_answers, targets_of_questions;

  MicroBatch batch(Counts counts) {
    std::vector<std::int32_t>& chosen = counts == Counts::answers     ? targets_of_answers
                                        : counts == Counts::questions ? targets_of_questions
                                                                      : targets;
    return {Tensor(ids.data(), {B, kTalkTokens}), Tensor(chosen.data(), {B, kTalkTokens})};
  }
};

// One row for each talk, filled up with end-of-text, which never counts.
TalkRows rows_of(const std::vector<Conversation>& talks) {
  ChatTemplate chat_template(talk_tokenizer());
  TalkRows rows{std::ssize(talks), {}, {}, {}, {}};
  for (const Conversation& talk : talks) {
    const ChatTokens chat = chat_template.encode(talk);
    for (std::size_t t = 0; t < static_cast<std::size_t>(kTalkTokens); ++t) {
      const bool filled = t + 1 < chat.ids.size(), counts = filled && chat.counted[t + 1] != 0;
      const std::int32_t target = filled ? chat.ids[t + 1] : -1;
      rows.ids.push_back(t < chat.ids.size() ? chat.ids[t] : talk_tokenizer().end_of_text());
      rows.targets.push_back(target);
      rows.targets_of_answers.push_back(counts ? target : -1);
      rows.targets_of_questions.push_back(counts ? -1 : target);
    }
  }
  return rows;
}

std::vector<Conversation> talks(std::int64_t count, Rng& rng) {
  std::vector<Conversation> all;
  for (std::int64_t i = 0; i < count; ++i) all.push_back(write_talk(rng));
  return all;
}

double share_of_answers(const TalkRows& rows) {
  const auto counted = [](const std::vector<std::int32_t>& targets) {
    return static_cast<double>(std::ssize(targets) - std::count(targets.begin(), targets.end(), -1));
  };
  return counted(rows.targets_of_answers) / counted(rows.targets);
}

// ---- What a model can do ----

struct Milestone {
  std::int64_t step;
  double exact;                        // exact match
  double answers, questions, stories;  // mean losses, of the held-out talks and of stories
};

double mean_loss_of(GPT2& model, const MicroBatch& batch) {
  Tape tape(Recording::off);
  return static_cast<double>(model.loss(tape, batch.ids, batch.targets).item());
}

// The questions and stories that every model is tested with.
struct HeldOut {
  std::vector<Conversation> talks;
  TalkRows rows;
  StoryRows stories;
};

Milestone milestone_of(GPT2& model, std::int64_t step, HeldOut& held_out) {
  const ChatResult result = evaluate_chats(
      model, talk_tokenizer(), held_out.talks, LongContext::fail,
      [](std::size_t index) { return str("the lesson's chat ", index); }, [](const ChatResult&) {});
  return {step, result.exact_match(), mean_loss_of(model, held_out.rows.batch(Counts::answers)),
          mean_loss_of(model, held_out.rows.batch(Counts::questions)), mean_loss(model, held_out.stories)};
}

std::string written(GPT2& model, const std::vector<std::int32_t>& prompt, std::int64_t most,
                    float temperature, std::uint64_t seed) {
  std::vector<std::int32_t> ids;
  Rng rng(seed, kAskStream);
  generate(model, prompt,
           {.max_tokens = most,
            .stop_token = talk_tokenizer().end_of_text(),
            .sampler = {.temperature = temperature}},
           rng, [&](std::int32_t id) {
             ids.push_back(id);
             return true;
           });
  return talk_tokenizer().decode(ids);
}

// The likeliest answer to the last question of a talk.
std::string answer_of(GPT2& model, const Conversation& talk) {
  History history(talk_tokenizer());
  for (std::size_t i = 0; i + 1 < talk.turns.size(); ++i) history.add(talk.turns[i].role, talk.turns[i].text);
  return written(model, history.prompt(kTalkTokens).ids, 16, 0.0f, 0);
}

// What the model writes as a user.
std::string question_of(GPT2& model, std::uint64_t seed) {
  std::vector<std::int32_t> prompt = talk_tokenizer().encode(turn_prefix(Role::user));
  prompt.insert(prompt.begin(), talk_tokenizer().end_of_text());
  return written(model, prompt, kAsked, 1.0f, seed);
}

// ---- Fine-tuning ----

struct Tuned {
  std::vector<Milestone> milestones;
  Series answers_loss;               // of new talks
  std::vector<std::string> answers;  // at kTalkStep
  std::string asks;                  // at kTalkStep
};

GPT2 copy_of(GPT2& base) {
  GPT2 model(base.config());
  const std::span<const float> weights = base.parameters().values();
  std::copy(weights.begin(), weights.end(), model.parameters().values().begin());
  return model;
}

Tuned fine_tune(GPT2& base, Counts counts, HeldOut& held_out, const LessonSettings& settings) {
  const std::string name = counts == Counts::answers ? "with the loss mask" : "without the loss mask";
  GPT2 model = copy_of(base);
  AdamW optimizer(segments_of(model.parameters().table()), {});
  Rng rng(settings.seed, kTalkStream);
  Tape tape;
  Tuned tuned;
  tuned.milestones.push_back(milestone_of(model, 0, held_out));
  for (std::int64_t step = 1; step <= kMilestones.back(); ++step) {
    if (step % 10 == 0)
      settings.progress(str("learning to answer ", name, ": step ", step, " of ", kMilestones.back()));
    TalkRows rows = rows_of(talks(kB, rng));
    const MicroBatch batch = rows.batch(counts);
    const double rate = kRate * std::min(1.0, static_cast<double>(step) / kWarmUpSteps);
    training_step(model, optimizer, tape, {&batch, 1},
                  {.step = step, .lr = static_cast<float>(rate), .max_norm = 1});
    if (step % 20 == 0) {
      tuned.answers_loss.add(static_cast<double>(step),
                             mean_loss_of(model, held_out.rows.batch(Counts::answers)));
    }
    if (std::find(kMilestones.begin(), kMilestones.end(), step) == kMilestones.end()) continue;
    tuned.milestones.push_back(milestone_of(model, step, held_out));
    if (step != kTalkStep) continue;
    for (std::size_t i = 0; i < static_cast<std::size_t>(kShown); ++i)
      tuned.answers.push_back(answer_of(model, held_out.talks[i]));
    tuned.asks = question_of(model, settings.seed);
  }
  return tuned;
}

// ---- The page ----

Series exact_series(const Tuned& tuned, const std::string& name, Look look) {
  Series series{.name = name, .x = {}, .y = {}, .look = look};
  for (const Milestone& l : tuned.milestones) {
    series.add(static_cast<double>(l.step), l.exact);
  }
  return series;
}

// Adds one number of both models at a step.
std::vector<Cell> both(Page& page, const std::string& what, std::int64_t step, const Computed<double>& with,
                       const Computed<double>& without, const std::string& formula,
                       const std::string& engine) {
  const About about{
      .digits = 3, .formula = formula, .inputs = {"tune.held_out"}, .label = formula, .engine = engine};
  return {page.number(str("tune.masked.", step, ".", what), with, about),
          page.number(str("tune.unmasked.", step, ".", what), without, about)};
}

void milestones(Page& page, const Computed<Tuned>& with, const Computed<Tuned>& without) {
  Table exact{.caption = "", .columns = {"step", "right, with the mask", "right, without"}};
  Table losses{
      .caption = "Losses on new talks",
      .columns = {"step", "answers, with the mask", "without", "the rest, with the mask", "without"}};
  for (std::size_t i = 0; i < with.value.milestones.size(); ++i) {
    const Milestone &a = with.value.milestones[i], &b = without.value.milestones[i];
    const auto add = [&](Table& table, const std::vector<Cell>& cells) {
      table.rows.back().insert(table.rows.back().end(), cells.begin(), cells.end());
    };
    exact.rows.push_back({std::to_string(a.step)});
    losses.rows.push_back({std::to_string(a.step)});
    add(exact, both(page, "exact", a.step, with.of(a.exact), without.of(b.exact), "right answers / talks",
                    "evaluate_chats in apps/eval/chat_eval.cc"));
    add(losses, both(page, "answers", a.step, with.of(a.answers), without.of(b.answers),
                     "mean loss of the answers", kLossEngine));
    both(page, "stories", a.step, with.of(a.stories), without.of(b.stories), "mean loss of stories",
         kLossEngine);
    add(losses, both(page, "questions", a.step, with.of(a.questions), without.of(b.questions),
                     "mean loss of all other targets", kLossEngine));
  }
  page.add(exact);
  page.add(losses);
}

// An answer in one line, and whether it is right.
std::string graded(std::string answer, const std::string& right) {
  const bool same = answer == right;
  for (std::size_t at = 0; (at = answer.find('\n', at)) != std::string::npos;) answer.replace(at, 1, " / ");
  return "*" + verbatim(answer) + "* (" + (same ? "right" : "wrong") + ")";
}

void what_they_say(Page& page, const std::vector<Conversation>& held_out, const Tuned& with,
                   const Tuned& without) {
  page.heading("What they say", 3);
  page.paragraph(
      "The last questions of the first new talks, and the answers of both models after {tune.talk} steps:");
  std::vector<std::string> items;
  for (std::size_t i = 0; i < with.answers.size(); ++i) {
    const std::vector<Turn>& turns = held_out[i].turns;
    const std::string& right = turns.back().text;
    std::string question = turns[turns.size() - 2].text;
    items.push_back(verbatim(question + " " + right) + " With the mask: " + graded(with.answers[i], right) +
                    " Without: " + graded(without.answers[i], right));
  }
  page.list(items);
  page.paragraph(
      "Now both write on after `User: `, which only one of them has learned. With the mask the model has "
      "learned nothing about users:");
  page.paragraph("*…" + verbatim(with.asks) + "*");
  page.paragraph("Without the mask it tells the story and asks:");
  page.paragraph("*…" + verbatim(without.asks) + "*");
}

}  // namespace

void fine_tuning(Page& page, GPT2& base, const LessonSettings& settings) {
  page.heading("Two models learn to answer");
  Rng rng(settings.seed, kHeldOutStream);
  Rng story_rng(settings.seed, kStoryStream);
  const std::vector<Conversation> new_talks = talks(kHeldOut, rng);
  HeldOut held_out{new_talks, rows_of(new_talks), story_rows(kStoryRows, kStoryTokens, story_rng)};
  page.given("tune.held_out", static_cast<double>(kHeldOut),
             {.formula = "talks that no model has seen", .label = "talks", .print = Print::count});
  page.given("tune.talk", static_cast<double>(kTalkStep),
             {.formula = "the step whose models are heard", .label = "steps", .print = Print::count});
  page.number("tune.share", COMPUTED(share_of_answers(held_out.rows)),
              {.digits = 3,
               .formula = "tokens of answers / all targets",
               .inputs = {"tune.held_out"},
               .label = "share of the answers",
               .engine = "append in apps/chat/chat_template.cc"});
  page.paragraph(
      "The GPT that has learned stories now learns to answer questions about them, from talks such as this "
      "one:");
  std::vector<std::string> example;
  for (const Turn& turn : new_talks[0].turns)
    example.push_back((turn.role == Role::user ? "User: " : "Assistant: ") + verbatim(turn.text));
  page.list(example);
  page.paragraph(
      "Once with the loss mask, and once without it: the same weights at the start, the same talks, the same "
      "learning rate. {tune.share} of all targets are in answers. *Exact match* is the share of "
      "{tune.held_out} new talks whose last answer is right to the letter, and ends where it should.");
  const auto with = COMPUTED(fine_tune(base, Counts::answers, held_out, settings));
  const auto without = COMPUTED(fine_tune(base, Counts::everything, held_out, settings));
  page.add(LineChart{.id = "tune.chart",
                     .title = "Exact match",
                     .x_label = "step of fine-tuning",
                     .y_label = "share of right answers",
                     .series = {exact_series(with.value, "with the loss mask", Look::main),
                                exact_series(without.value, "without", Look::second)},
                     .dots = true,
                     .y_min = 0.0});
  milestones(page, with, without);
  page.paragraph(
      "With the mask, the model answers after fewer steps: {tune.masked.100.exact} are right after 100 "
      "steps, and {tune.unmasked.100.exact} without it. The losses say why. Without the mask, the loss is a "
      "mean over all targets, so the answers have a weight of {tune.share}, and most of every step goes into "
      "stories and questions. With it, every step goes into answers. With enough steps, the other model "
      "learns to answer as well: after 300 steps it is {tune.masked.300.exact} and "
      "{tune.unmasked.300.exact}. So the mask does not make the better model in the end; it makes a model "
      "that answers sooner, and that does not speak for the user.");
  page.paragraph(
      "The mask has a price, too: what counts no longer is no longer practised. On plain stories, the loss "
      "was {tune.masked.0.stories} before. After 300 steps it is {tune.masked.300.stories} with the mask, "
      "and {tune.unmasked.300.stories} without.");
  LineChart answers{.id = "tune.answers",
                    .title = "Loss of the answers of new talks",
                    .x_label = "step of fine-tuning",
                    .y_label = "loss",
                    .series = {with.value.answers_loss},
                    .y_min = 0.0};
  answers.series[0].name = "with the loss mask";
  if (settings.breaks("no-loss-mask")) {
    Series wrong = without.value.answers_loss;
    wrong.name = "without the loss mask";
    wrong.look = Look::wrong;
    answers.series.push_back(wrong);
  }
  page.add(answers);
  page.paragraph(settings.breaks("no-loss-mask")
                     ? "Without the mask, the loss of the answers falls much later: at 100 steps it is "
                       "{tune.unmasked.100.answers} instead of {tune.masked.100.answers}."
                     : "`--break=no-loss-mask` draws the other model's loss over this one.");
  what_they_say(page, new_talks, with.value, without.value);
}

}  // namespace inkling
