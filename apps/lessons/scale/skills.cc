// Lesson 9, abilities: what the models can do, by size and by step, and what the documents claim.
#include <algorithm>
#include <cmath>

#include "apps/lessons/scale/scale.h"
#include "core/error.h"

namespace inkling {

using namespace page;

namespace {

constexpr std::array<const char*, kAbilities> kNames = {"quote", "pronoun", "sound", "hero",
                                                        "thing", "pair",    "novel"};
constexpr std::array<Look, kAbilities> kLooks = {Look::faint,  Look::main,  Look::faint, Look::second,
                                                 Look::fourth, Look::faint, Look::third};
constexpr double kLearned = 0.9;  // P(right) from which on an ability counts as learned
constexpr double kBegun = 0.1;    // and how far it must be above a guess to count as begun

Ability ability(std::size_t a) {
  return static_cast<Ability>(a);
}

// "not yet", "partly" or "yes".
std::string verdict(const Skill& skill) {
  if (skill.p >= kLearned) return "yes";
  return skill.p >= skill.chance + kBegun ? "partly" : "not yet";
}

// All sizes on the same data.
std::vector<Trained> compared_runs(const ScalePlan& plan, const Measurements& measured) {
  std::vector<Trained> runs;
  for (const Trained& run : measured.runs) {
    if (run.share == plan.compared) runs.push_back(run);
  }
  return runs;
}

void what_is_asked(Page& page, const ScalePlan& plan, const MeasuredRuns& measured) {
  page.heading("Abilities, as probabilities");
  page.paragraph(
      "Nobody programs an ability. But in these stories there are places where the text so far leaves one "
      "answer, and the grammar gives it the probability 1. There a model's probability *is* its ability: how "
      "much of it goes to the right word, among all words that could stand there at all. A guess has one "
      "over the number of rivals.");
  Table table{.caption = "", .columns = {"ability", "question", "places", "a guess", "the grammar"}};
  const Trained& any = measured.value.longest(plan.studied);
  for (std::size_t a = 0; a < kAbilities; ++a) {
    const std::string name = str("ability.", kNames[a]);
    const Ref places =
        page.number(name + ".places", measured.of(static_cast<double>(measured.value.places[a])),
                    {.formula = "the places in the exam's texts", .label = "places", .print = Print::count});
    const Ref chance = page.number(name + ".chance", measured.of(any.exam.skills[a].chance),
                                   {.digits = 3, .formula = "1 / rivals, on average", .label = "a guess"});
    table.rows.push_back({text_of(ability(a)).name, text_of(ability(a)).question, places, chance,
                          a == kNovel ? "never writes this" : "1"});
  }
  page.add(table);
  page.paragraph(
      "The last one is different: eight random words, again and again. No story does this, so a model that "
      "continues it has learned to continue a *pattern*, not a story.");
}

void by_size(Page& page, const ScalePlan& plan, const MeasuredRuns& measured) {
  page.heading("Abilities by size");
  const std::vector<Trained> runs = compared_runs(plan, measured.value);
  LineChart chart{.id = "size.chart",
                  .title = "P(right) by size, all sizes on the same data",
                  .x_label = "parameters",
                  .y_label = "P(right)",
                  .log_x = true,
                  .dots = true,
                  .y_min = 0,
                  .y_max = 1};
  Table table{.caption = "P(right) by number of parameters", .columns = {"ability"}};
  for (const Trained& run : runs)
    table.columns.push_back(printed(static_cast<double>(run.parameters), {.print = Print::count}));
  for (std::size_t a = 0; a < kAbilities; ++a) {
    Series series{text_of(ability(a)).name, {}, {}, kLooks[a]};
    std::vector<Cell> row = {text_of(ability(a)).name};
    for (const Trained& run : runs) {
      const Skill& skill = run.exam.skills[a];
      row.push_back(page.number(run_name(plan, run, kNames[a]), measured.of(skill.p),
                                {.digits = 3,
                                 .formula = "the mean probability of the right word among its rivals",
                                 .inputs = {str("ability.", kNames[a], ".places")},
                                 .label = str(text_of(ability(a)).name, ", ", size_label(run))}));
      series.add(static_cast<double>(run.parameters), skill.p);
    }
    table.rows.push_back(row);
    chart.series.push_back(series);
  }
  page.add(table);
  page.add(chart);
  page.paragraph(
      "All these models have read the same stories in the same number of steps. What hangs on the words "
      "nearby is learned by small models, too. What must be looked up far back in the text needs attention "
      "heads that have found out where to look, and larger models find it out sooner.");
}

void by_step(Page& page, const ScalePlan& plan, const MeasuredRuns& measured) {
  page.heading("Abilities by step");
  const std::vector<Checkpoint>& checkpoints = measured.value.checkpoints;
  LineChart chart{.id = "step.chart",
                  .title = "P(right) during the training of one model",
                  .x_label = "step",
                  .y_label = "P(right)",
                  .log_x = true,
                  .y_min = 0,
                  .y_max = 1};
  Table table{.caption = str("the first step at which P(right) was ", printed(kLearned, {.digits = 1}),
                             " or more, and P(right) at the end"),
              .columns = {"ability", "step", "at the end"}};
  for (std::size_t a = 0; a < kAbilities; ++a) {
    Series series{text_of(ability(a)).name, {}, {}, kLooks[a]};
    double learned = 0;
    for (const Checkpoint& c : checkpoints) {
      series.add(static_cast<double>(c.step), c.exam.skills[a].p);
      if (learned == 0 && c.exam.skills[a].p >= kLearned) learned = static_cast<double>(c.step);
    }
    const std::string name = str("step.", kNames[a]);
    const Ref at_end = page.number(name + ".end", measured.of(series.y.back()),
                                   {.digits = 3,
                                    .formula = "P(right) after the last step",
                                    .label = text_of(ability(a)).name + " at the end"});
    Cell first("never");
    if (learned > 0) {
      first = Cell(page.number(name + ".learned", measured.of(learned),
                               {.formula = "the first measured step with P(right) of 0.9 or more",
                                .label = text_of(ability(a)).name + " learned at step",
                                .print = Print::count}));
    }
    table.rows.push_back({text_of(ability(a)).name, first, at_end});
    chart.series.push_back(series);
  }
  page.paragraph(str("The model with {", run_name(plan, measured.value.longest(plan.studied), "parameters"),
                     "} parameters was examined while it trained:"));
  page.add(chart);
  page.add(table);
  page.paragraph(
      "Abilities come one after another, and each comes fast: long nothing, then within a fraction of the "
      "training almost everything. The mean loss hides this, because it is the sum of many such steps.");
}

// Does an ability jump, or does the way of counting it?
void jump(Page& page, const MeasuredRuns& measured) {
  page.heading("A jump, or a strict way of counting?");
  LineChart chart{.id = "flawless.chart",
                  .title = "Texts without a slip, and the hero's name, during the same training",
                  .x_label = "step",
                  .y_label = "share",
                  .log_x = true,
                  .y_min = 0,
                  .y_max = 1};
  Series flawless{"texts without a slip", {}, {}, Look::main}, p{"P(hero's name)", {}, {}, Look::second};
  for (const Checkpoint& c : measured.value.checkpoints) {
    for (Series* s : {&flawless, &p}) s->x.push_back(static_cast<double>(c.step));
    flawless.y.push_back(c.exam.flawless);
    p.y.push_back(c.exam.skills[kHero].p);
  }
  page.number("flawless.end", measured.of(flawless.y.back()),
              {.digits = 2,
               .formula = "the share of texts in which the right word was the most probable one everywhere",
               .label = "texts without a slip"});
  chart.series = {flawless, p};
  page.add(chart);
  page.paragraph(
      "Schaeffer, Miranda and Koyejo (2023) warn that abilities may seem to appear suddenly only because "
      "they are counted strictly: a text counts only if *every* place in it is right. At the end "
      "{flawless.end} of the texts are without a slip. Compare its curve with that of the probability: the "
      "strict count starts later.");
}

// "yes, from 28,320 parameters on", "not at any of these sizes".
std::string from_size(const std::vector<Trained>& runs, Ability a) {
  for (const char* wanted : {"yes", "partly"}) {
    for (const Trained& run : runs) {
      if (verdict(run.exam.skills[a]) == wanted) return str(wanted, ", from ", size_label(run), " on");
    }
  }
  return "not yet at any size";
}

}  // namespace

void skills(Page& page, const ScalePlan& plan, const MeasuredRuns& measured) {
  what_is_asked(page, plan, measured);
  by_size(page, plan, measured);
  by_step(page, plan, measured);
  jump(page, measured);
}

void claims(Page& page, const ScalePlan& plan, const MeasuredRuns& measured) {
  page.heading("What the documents claim, and what was seen");
  const std::vector<Trained> runs = compared_runs(plan, measured.value);
  const Trained& longest = measured.value.longest(plan.studied);
  const Ref parameters = run_name(plan, longest, "parameters"), tokens = run_name(plan, longest, "tokens");
  page.paragraph(
      str("The documents list abilities that come out of predicting the next token. Seen by size: all sizes "
          "on {",
          run_name(plan, runs.front(), "tokens"), "} tokens. Seen with data: the model with {",
          parameters.name, "} parameters after {", tokens.name, "} tokens."));
  const auto row = [&](const char* claim, const char* as, Ability a) {
    return std::vector<Cell>{
        claim, as, from_size(runs, a),
        Cell::marked(str(verdict(longest.exam.skills[a]), ": {step.", kNames[a], ".end}"))};
  };
  const auto without = [](const char* claim, const char* why) {
    return std::vector<Cell>{claim, why, "no answer", "no answer"};
  };
  page.add(Table{.caption = "",
                 .columns = {"the documents claim", "measured here as", "by size", "with data"},
                 .rows = {row("grammar and syntax", "the end of a quotation", kQuote),
                          row("factual knowledge", "the sound of each animal", kSound),
                          row("context: pronouns", "he or she, of the hero", kPronoun),
                          row("context, further back", "the hero's name, again", kHero),
                          row("context, across the story", "the thing that was lost", kThing),
                          row("in-context learning", "random words that repeat", kNovel),
                          without("reasoning chains", "nothing: no story reasons"),
                          without("style adaptation", "nothing: there is one style")}});
  page.paragraph(
      "That simple training creates abilities holds, and here it has numbers. That scale is the main "
      "difference needs care: parameters, data and steps do not replace each other. An ability that the "
      "texts do not need, such as continuing random words, does not come as a present.");
}

}  // namespace inkling
