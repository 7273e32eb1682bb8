#include "apps/explain/explain_page.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "apps/page/embed.h"
#include "apps/page/markup.h"
#include "apps/run/format.h"
#include "apps/run/perplexity.h"
#include "apps/version.h"
#include "core/error.h"
#include "core/portable_math.h"

EMBED_FILE(explain_script, "apps/explain/explain.js");

namespace inkling {

using namespace page;

namespace {

using Json = nlohmann::ordered_json;

std::size_t index(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

double mean(std::span<const double> x) {
  return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
}

// A share as the sliders read it (explain.js): thousandths, two characters.
std::string encoded(double share) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const auto thousandths = static_cast<std::size_t>(std::lround(1000 * share));
  return {kDigits[thousandths / 64], kDigits[thousandths % 64]};
}

double rounded(double share) {
  return std::isnan(share) ? share : static_cast<double>(std::lround(1000 * share)) / 1000;
}

std::string with_sign(double change) {
  const auto hundredths = std::lround(100 * change);
  return (hundredths < 0 ? "\u2212" : "+") + format_fixed(std::abs(static_cast<double>(hundredths)) / 100, 2);
}

// Fills a page from what is known about the text. One function for each section.
class Writer {
 public:
  explicit Writer(const ExplainedText& text)
      : text_(text), in_(text.inside), T_(text.inside.T), page_("A model reads a text") {
    for (const ExplainedPosition& position : text.positions) {
      inputs_.push_back(token(position.token));
      targets_.push_back(token(position.target.id));
      losses_.push_back(position.loss);
    }
    // The loss of a model that knows nothing, ln V: it has the full colour.
    most_ = portable::log(static_cast<double>(text.tokens.size()));
  }

  Page write() {
    page_.script(explain_script());
    write_losses();
    write_predictions();
    write_attention();
    write_gradients();
    write_ablation();
    write_table();
    page_.origin = {{"model", text_.model}, {"inkling", kVersion}};
    return std::move(page_);
  }

 private:
  const std::string& token(std::int32_t id) const { return text_.tokens[index(id)]; }
  const ExplainedPosition& at(std::int64_t t) const { return text_.positions[index(t)]; }
  std::string top_name(std::size_t rank) const { return str("now.top.", rank); }

  // Tokens of the text, each with a value from 0 to 1 and a note.
  template <class Value, class Note>
  std::vector<Token> tokens(const std::vector<std::string>& texts, Value value, Note note) const {
    std::vector<Token> all;
    for (std::int64_t t = 0; t < T_; ++t) all.push_back({texts[index(t)], value(t), false, note(t)});
    return all;
  }

  void write_losses() {
    const Ref loss = page_.number("loss.mean", COMPUTED(mean(losses_)),
                                  {.formula = "the mean of the losses", .label = "mean loss"});
    page_.number("loss.perplexity", COMPUTED(perplexity(mean(losses_))),
                 {.digits = 2, .formula = "$e^{loss}$", .inputs = {loss}, .label = "perplexity"});
    page_.number("loss.most", COMPUTED(portable::log(static_cast<double>(text_.tokens.size()))),
                 {.digits = 2, .formula = "$ln V$", .label = "loss of a model that knows nothing"});
    page_.number("text.positions", COMPUTED(static_cast<double>(T_)),
                 {.formula = "tokens of the text", .label = "positions", .print = Print::count});
    page_.lede(
        "The mean loss of the text is {loss.mean} nats per token, a perplexity of {loss.perplexity}, over "
        "{text.positions} positions.");
    page_.heading("Which tokens surprise the model?");
    page_.paragraph(
        "Below each token is its loss, `-log p`: how surprising the token is after the tokens before "
        "it. The deeper its colour, the larger its loss. A model that knows nothing has the loss "
        "{loss.most} everywhere, which is the full colour.");
    page_.add(Tokens{.caption = "Each token, with its loss in nats",
                     .tokens = tokens(
                         targets_, [&](std::int64_t t) { return losses_[index(t)] / most_; },
                         [&](std::int64_t t) { return format_fixed(losses_[index(t)], 2); }),
                     .look = Look::wrong,
                     .id = "losses"});
  }

  void write_predictions() {
    if (at(0).top.empty()) return;
    const auto hardest = std::max_element(losses_.begin(), losses_.end()) - losses_.begin();
    const ExplainedPosition& now = at(hardest);
    page_.heading("What does it expect?");
    page_.paragraph(
        "At each position, the model gives every token of its vocabulary a probability. The page "
        "starts at the position with the largest loss, position {now.position}: the loss is {now.loss}.");
    page_.number(
        "now.position", COMPUTED(static_cast<double>(hardest)),
        {.formula = "where the loss is largest, or the slider", .label = "position", .print = Print::count});
    const Ref target =
        page_.number("now.target", COMPUTED(now.target.probability),
                     {.formula = "softmax of the logits", .label = "P(next token of the text)"});
    page_.number("now.loss", COMPUTED(now.loss),
                 {.formula = "$-log p$", .inputs = {target}, .label = "loss"});
    BarChart bars{
        .id = "now.top", .title = "The likeliest next tokens", .x_label = "probability", .max = 1.0};
    Json positions = Json::array();
    for (std::size_t rank = 0; rank < now.top.size(); ++rank) {
      const Ref p = page_.number(top_name(rank), COMPUTED(now.top[rank].probability),
                                 {.formula = "softmax of the logits", .label = str("rank ", rank + 1)});
      const bool is_right = now.top[rank].id == now.target.id;
      bars.bars.push_back({token(now.top[rank].id), p, is_right ? Look::second : Look::main});
    }
    bars.bars.push_back({"in the text: " + token(now.target.id), target, Look::second});
    for (const ExplainedPosition& position : text_.positions) {
      Json top = Json::array();
      for (const Prediction& p : position.top) top.push_back({token(p.id), p.probability});
      positions.push_back({{"target", token(position.target.id)},
                           {"p", position.target.probability},
                           {"loss", position.loss},
                           {"top", top}});
    }
    page_.add(Tokens{.caption = "The text up to the position",
                     .tokens = tokens(
                         inputs_, [&](std::int64_t t) { return t == hardest  ? 1
                                                               : t < hardest ? 0.2
                                                                             : 0; },
                         [](std::int64_t) { return std::string(); }),
                     .id = "now.text"});
    if (T_ > 1) {
      page_.add(Live{.id = "predictions",
                     .title = "Choose a position",
                     .model = "predictions",
                     .sliders = {position_slider(static_cast<double>(hardest))},
                     .data = {{"positions", positions}}});
    }
    page_.add(bars);
  }

  Slider position_slider(double value) const {
    return {.name = "position",
            .label = "position",
            .min = 0,
            .max = static_cast<double>(T_ - 1),
            .step = 1,
            .value = value,
            .digits = 0};
  }
  // A slider needs two places, so a model with one layer has no slider for it.
  std::vector<Slider> head_sliders() const {
    std::vector<Slider> sliders;
    const auto add = [&](const char* name, std::int64_t most) {
      if (most > 1)
        sliders.push_back({.name = name,
                           .label = name,
                           .min = 1,
                           .max = static_cast<double>(most),
                           .step = 1,
                           .value = 1,
                           .digits = 0});
    };
    add("layer", in_.L);
    add("head", in_.NH);
    return sliders;
  }

  void write_attention() {
    const auto p = in_.attention_of(0, 0);
    const std::int64_t last = T_ - 1;
    page_.heading("Where does each head look?");
    page_.paragraph(
        "At each position, a head takes a weighted mean of values from this position and those before "
        "it. The weights are its attention: $P_{tk}$ says how much position $t$ takes from position $k$, "
        "and each row sums to 1. The page starts with the first head of the first layer.");
    Json shares = Json::array(), all_habits = Json::array();
    for (std::int64_t l = 0; l < in_.L; ++l) {
      for (std::int64_t h = 0; h < in_.NH; ++h) {
        std::string text;
        const auto P = in_.attention_of(l, h);
        for (std::int64_t t = 0; t < T_; ++t) {
          for (std::int64_t k = 0; k <= t; ++k) text += encoded(P[index(t * T_ + k)]);
        }
        shares.push_back(text);
        const HeadHabits mean_of = habits(P, T_);
        all_habits.push_back({mean_of.self, mean_of.previous, mean_of.first});
      }
    }
    std::vector<Slider> sliders = head_sliders();
    if (T_ > 1) sliders.push_back(position_slider(static_cast<double>(last)));
    if (!sliders.empty()) {
      page_.add(Live{.id = "attention.live",
                     .title = "Choose a head",
                     .model = "attention",
                     .sliders = sliders,
                     .data = {{"T", T_}, {"heads", in_.NH}, {"shares", shares}, {"habits", all_habits}}});
    }
    const auto row = p.subspan(index(last * T_), index(T_));
    const double most = std::max(rounded(*std::max_element(row.begin(), row.end())), 1e-3);
    page_.add(Tokens{.caption = "What the chosen position (at first the last one) takes from each token",
                     .tokens = tokens(
                         inputs_, [&](std::int64_t k) { return rounded(row[index(k)]) / most; },
                         [&](std::int64_t k) { return format_fixed(rounded(row[index(k)]), 3); }),
                     .id = "attention.from"});
    const auto first_head = COMPUTED(habits(in_.attention_of(0, 0), T_));
    page_.number("head.self", first_head.of(first_head.value.self),
                 {.digits = 3, .formula = "the mean of $P_{tt}$", .label = "attention to itself"});
    page_.number(
        "head.previous", first_head.of(first_head.value.previous),
        {.digits = 3, .formula = "the mean of $P_{t,t-1}$", .label = "attention to the token before"});
    page_.number("head.first", first_head.of(first_head.value.first),
                 {.digits = 3, .formula = "the mean of $P_{t,0}$", .label = "attention to the first token"});
    page_.paragraph(
        "On average over all positions, this head gives {head.self} to the position itself, "
        "{head.previous} to the token before, and {head.first} to the first token. Many heads rest on "
        "the first token when they find nothing to do.");
    Heat heat{.id = "attention",
              .title = "Attention: a row for each position, a column for each token it looks at",
              .rows = inputs_,
              .columns = inputs_,
              .digits = 1,
              .row_label = "from",
              .column_label = "to"};
    for (std::int64_t t = 0; t < T_; ++t) {
      for (std::int64_t k = 0; k < T_; ++k)
        heat.values.push_back(k <= t ? rounded(p[index(t * T_ + k)]) : std::nan(""));
    }
    page_.add(heat);
    page_.alternatives("habits", "All heads at once", [&] {
      add_habit("The token before", "habit.previous", &HeadHabits::previous);
      add_habit("The first token", "habit.first", &HeadHabits::first);
      add_habit("Itself", "habit.self", &HeadHabits::self);
    });
  }

  // A cell for each head, a row for each layer.
  Heat heads_heat(const std::string& id, const std::string& title) const {
    Heat heat{.id = id, .title = title, .row_label = "", .column_label = ""};
    for (std::int64_t l = 0; l < in_.L; ++l) heat.rows.push_back(str("layer ", l + 1));
    for (std::int64_t h = 0; h < in_.NH; ++h) heat.columns.push_back(str("head ", h + 1));
    return heat;
  }
  void add_habit(const std::string& label, const std::string& id, double HeadHabits::*habit) {
    page_.step(label);
    Heat heat = heads_heat(id, "Mean attention to: " + label);
    for (std::int64_t l = 0; l < in_.L; ++l) {
      for (std::int64_t h = 0; h < in_.NH; ++h)
        heat.values.push_back(rounded(habits(in_.attention_of(l, h), T_).*habit));
    }
    page_.add(heat);
  }

  void write_gradients() {
    const std::vector<double>& norms = in_.gradient_norms;
    const double most = std::max(*std::max_element(norms.begin(), norms.end()), 1e-30);
    page_.heading("Which tokens does the loss depend on?");
    page_.paragraph(
        "Backpropagation gives the gradient of the mean loss with respect to each token's embedding. "
        "Its length says how much the loss changes when this embedding changes a little: how much the "
        "model uses the token. The largest has the full colour.");
    page_.add(Tokens{.caption = "Each token, with the norm of its gradient in thousandths",
                     .tokens = tokens(
                         inputs_, [&](std::int64_t t) { return norms[index(t)] / most; },
                         [&](std::int64_t t) { return format_fixed(1000 * norms[index(t)], 1); }),
                     .look = Look::third,
                     .id = "gradients"});
  }

  void write_ablation() {
    const double whole = mean(losses_);
    Heat heat = heads_heat("ablation", "Change of the mean loss without the head, in nats");
    heat.diverging = true;
    Json changes = Json::array(), means = Json::array();
    for (std::int64_t l = 0; l < in_.L; ++l) {
      for (std::int64_t h = 0; h < in_.NH; ++h) {
        const auto without = in_.losses_without(l, h);
        means.push_back(mean(without));
        heat.values.push_back(mean(without) - whole);
        Json of_head = Json::array();
        for (std::int64_t t = 0; t < T_; ++t)
          of_head.push_back(std::lround(100 * (without[index(t)] - losses_[index(t)])));
        changes.push_back(of_head);
      }
    }
    const auto first = in_.losses_without(0, 0);
    page_.heading("What is each head good for?");
    page_.paragraph(
        "Remove one head: it gives zeros instead of its output. If the loss goes up, the model needed it "
        "for this text. If it goes down, the head did harm here.");
    page_.add(heat);
    const std::vector<Slider> sliders = head_sliders();
    if (!sliders.empty()) {
      page_.add(Live{.id = "ablation.live",
                     .title = "Remove a head",
                     .model = "ablation",
                     .sliders = sliders,
                     .data = {{"heads", in_.NH},
                              {"mean", whole},
                              {"most", most_},
                              {"means", means},
                              {"losses", losses_},
                              {"changes", changes}}});
    }
    page_.number(
        "without.loss", COMPUTED(mean(in_.losses_without(0, 0))),
        {.formula = "the mean of the losses without the head", .label = "mean loss without the head"});
    page_.number("without.change", COMPUTED(mean(in_.losses_without(0, 0)) - mean(losses_)),
                 {.formula = "the loss without the head, minus the loss",
                  .inputs = {"without.loss", "loss.mean"},
                  .label = "change of the loss"});
    page_.paragraph(
        "Without this head, the mean loss is {without.loss}: it changes by {without.change}. With it, "
        "the loss is {loss.mean}.");
    page_.add(
        Tokens{.caption = "Each token, coloured by its loss without the head, with the change of its loss",
               .tokens = tokens(
                   targets_, [&](std::int64_t t) { return first[index(t)] / most_; },
                   [&](std::int64_t t) { return with_sign(first[index(t)] - losses_[index(t)]); }),
               .look = Look::wrong,
               .id = "without.text"});
  }

  void write_table() {
    constexpr std::size_t kTableRanks = 5;
    page_.heading("All numbers");
    Table table{.caption = "", .columns = {"position", "token", "next token", "$p$", "loss", "gradient"}};
    const std::size_t ranks = std::min(at(0).top.size(), kTableRanks);
    for (std::size_t rank = 1; rank <= ranks; ++rank) table.columns.push_back(str("likeliest ", rank));
    for (std::int64_t t = 0; t < T_; ++t) {
      const ExplainedPosition& position = at(t);
      const Ref p = page_.number(str("p.", t), COMPUTED(position.target.probability),
                                 {.formula = "softmax of the logits", .label = "p"});
      const Ref loss =
          page_.number(str("loss.", t), COMPUTED(position.loss), {.formula = "$-log p$", .inputs = {p}});
      const Ref gradient = page_.number(str("gradient.", t), COMPUTED(in_.gradient_norms[index(t)]),
                                        {.digits = 5, .formula = "$|dL/dx_t|$"});
      std::vector<Cell> row = {std::to_string(t), inputs_[index(t)], targets_[index(t)], p, loss, gradient};
      for (const Prediction& prediction : std::span(position.top).first(ranks)) {
        // A space that is no place to break the line.
        row.push_back(str(token(prediction.id), "\u00a0", format_fixed(prediction.probability, 3)));
      }
      table.rows.push_back(row);
    }
    page_.add(table);
  }

  const ExplainedText& text_;
  const Inside& in_;
  std::int64_t T_;
  double most_;
  std::vector<std::string> inputs_, targets_;
  std::vector<double> losses_;
  Page page_;
};

}  // namespace

std::int64_t most_explained_tokens(const GPT2Config& config, std::int64_t top) {
  // The bytes of the style sheet and the scripts; of each position; of each head at a position; of a weight
  // of a head; of a weight in the chart of a head. Tests compare this with real pages.
  constexpr double kPage = 90e3, kPosition = 3000, kTop = 70, kHeadPosition = 4, kWeight = 2,
                   kChartWeight = 21;
  const auto heads = static_cast<double>(config.layers * config.heads);
  const auto bytes = [&](double T) {
    return kPage + T * (kPosition + kTop * static_cast<double>(top) + kHeadPosition * heads) +
           T * (T + 1) / 2 * kWeight * heads + kChartWeight * T * T;
  };
  std::int64_t T = 1;
  while (T < config.max_seq_len && bytes(static_cast<double>(T + 1)) < 0.95 * kMostPageBytes) ++T;
  return T;
}

Page explain_page(const ExplainedText& text) {
  return Writer(text).write();
}

}  // namespace inkling
