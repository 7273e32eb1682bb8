// Lesson 8, the weights: every weight with its gradient, and how long the gradient of each tensor is.
#include <cmath>
#include <functional>

#include "apps/lessons/one_step/one_step.h"
#include "core/error.h"

namespace inkling {

using namespace page;

namespace {

constexpr std::size_t kT = 4, kC = 4;

using Refs = std::vector<Ref>;
using Inputs = std::function<Refs(std::size_t row, std::size_t column)>;

// A tensor of the model as a matrix; a bias is a matrix with one row.
struct WeightMatrix {
  std::string name;
  std::size_t offset, rows, columns;
  std::string gradient_formula;
  Inputs gradient_inputs;
};

// Adds the numbers of a matrix to the page.
void add_numbers(Page& page, const OnePass& pass, const WeightMatrix& w) {
  for (std::size_t r = 0; r < w.rows; ++r) {
    for (std::size_t c = 0; c < w.columns; ++c) {
      const std::size_t at = w.offset + r * w.columns + c;
      const std::string label = str(w.name, "[", r, ", ", c, "]");
      page.number(value_name(w.name, r, c),
                  Computed<double>{static_cast<double>(pass.weights[at]), pass.weights_source},
                  {.formula = "a random number; norms start at 1, biases at 0",
                   .label = label,
                   .engine = "initialise in nn/gpt2.cc"});
      page.number(gradient_name(w.name, r, c),
                  Computed<double>{static_cast<double>(pass.gradients[at]), pass.backward_source},
                  {.formula = w.gradient_formula,
                   .inputs = w.gradient_inputs(r, c),
                   .label = "gradient of " + label});
    }
  }
}

Cell both(const std::string& tensor, std::size_t r, std::size_t c) {
  return Cell(Ref(value_name(tensor, r, c)), Ref(gradient_name(tensor, r, c)));
}

// ---- Where the gradients come from ----

// weight[o, i] gets, from each token, the gradient of output o times input i.
Inputs of_weight(const std::string& output, const std::string& input) {
  return [=](std::size_t o, std::size_t i) {
    Refs refs;
    for (std::size_t t = 0; t < kT; ++t) {
      refs.push_back(gradient_name(output, t, o));
      refs.push_back(value_name(input, t, i));
    }
    return refs;
  };
}
Inputs of_bias(const std::string& output) {
  return [=](std::size_t, std::size_t o) {
    Refs refs;
    for (std::size_t t = 0; t < kT; ++t) refs.push_back(gradient_name(output, t, o));
    return refs;
  };
}
// A word is read where it is an input, and it is predicted at every token.
Refs of_word(std::size_t v, std::size_t c) {
  Refs refs;
  const Sentence sentence;
  for (std::size_t t = 0; t < kT; ++t) {
    if (static_cast<std::size_t>(sentence.ids[t]) == v) refs.push_back(gradient_name("x0", t, c));
  }
  const Refs head = of_weight("logits", "nf")(v, c);
  refs.insert(refs.end(), head.begin(), head.end());
  return refs;
}

// The weight, the bias and the gradient's inputs of a linear layer or a norm.
struct Layer {
  std::string weight, bias, output, input;
};

class Tables {
 public:
  Tables(Page& page, const OnePass& pass) : page_(page), pass_(pass) {
    GPT2 model = printable_model(0);
    for (const Parameter& p : model.parameters().table()) {
      offsets_[p.name] = static_cast<std::size_t>(p.offset);
    }
  }

  void embeddings() {
    add({"wte", kSentenceWords.size(), kC,
         "as an input: the gradient of $x_0$; as a prediction: the sum of the logits' gradients times $n_f$",
         of_word});
    add({"wpe", kT, kC, "the gradient of $x_0$ at this position",
         [](std::size_t t, std::size_t c) { return Refs{gradient_name("x0", t, c)}; }});
    page_.add(DirectionToggle{"Show:"});
    page_.add(
        square("word table `wte` (V, C) = (12, 4)", "wte", {kSentenceWords.begin(), kSentenceWords.end()}));
    page_.add(square("position table `wpe` (T, C) = (4, 4)", "wpe", {"0", "1", "2", "3"}));
  }

  // The weight and the bias of a layer. `rows` names the weight's rows, `groups` the bias's rows of four.
  void linear(const Layer& layer, std::size_t outputs, std::size_t inputs, const std::string& caption,
              const std::vector<std::string>& rows, const std::vector<std::string>& groups) {
    add({layer.weight, outputs, inputs, "the sum over the tokens of the output's gradient times the input",
         of_weight(layer.output, layer.input)});
    add({layer.bias, 1, outputs, "the sum over the tokens of the output's gradient", of_bias(layer.output)});
    page_.add(inputs > outputs ? sideways(layer.weight, outputs, inputs, caption)
                               : square(caption, layer.weight, rows));
    Table bias{.caption = str("`", layer.bias, "` (", outputs, ")"), .columns = {"", "0", "1", "2", "3"}};
    for (std::size_t g = 0; g < groups.size(); ++g) {
      bias.rows.push_back({groups[g]});
      for (std::size_t c = 0; c < kC; ++c) bias.rows.back().push_back(both(layer.bias, 0, g * kC + c));
    }
    page_.add(bias);
  }

  void norms() {
    Table table{.caption = "weights and biases of the three norms, (C) each",
                .columns = {"", "0", "1", "2", "3"}};
    for (const Norm& norm : {Norm{"ln1", "n1", "x0"}, Norm{"ln2", "n2", "x1"}, Norm{"lnf", "nf", "x2"}}) {
      add({norm.name + "w", 1, kC,
           "the sum over the tokens of the output's gradient times $(x - mean) / √(var + 10^{-5})$",
           of_norm(norm)});
      add({norm.name + "b", 1, kC, "the sum over the tokens of the output's gradient", of_bias(norm.output)});
      for (const char* part : {"w", "b"}) {
        table.rows.push_back({norm.name + part});
        for (std::size_t c = 0; c < kC; ++c) table.rows.back().push_back(both(norm.name + part, 0, c));
      }
    }
    page_.add(DirectionToggle{"Show:"});
    page_.add(table);
  }

 private:
  struct Norm {
    std::string name, output, input;
  };
  struct Described {
    std::string name;
    std::size_t rows, columns;
    std::string formula;
    Inputs inputs;
  };

  void add(const Described& s) {
    add_numbers(page_, pass_, {s.name, offsets_.at(s.name), s.rows, s.columns, s.formula, s.inputs});
  }

  static Table square(const std::string& caption, const std::string& tensor,
                      const std::vector<std::string>& rows) {
    Table table{.caption = caption, .columns = {"", "0", "1", "2", "3"}};
    for (std::size_t r = 0; r < rows.size(); ++r) {
      std::vector<Cell> row = {rows[r]};
      for (std::size_t c = 0; c < kC; ++c) row.push_back(both(tensor, r, c));
      table.rows.push_back(row);
    }
    return table;
  }

  // A column for each output.
  static Table sideways(const std::string& tensor, std::size_t outputs, std::size_t inputs,
                        const std::string& caption) {
    Table table{.caption = caption, .columns = {"input"}};
    for (std::size_t o = 0; o < outputs; ++o) table.columns.push_back("to " + std::to_string(o));
    for (std::size_t i = 0; i < inputs; ++i) {
      table.rows.push_back({str("unit ", i)});
      for (std::size_t o = 0; o < outputs; ++o) table.rows.back().push_back(both(tensor, o, i));
    }
    return table;
  }

  static Inputs of_norm(const Norm& norm) {
    return [norm](std::size_t, std::size_t c) {
      Refs refs = of_bias(norm.output)(0, c);
      for (std::size_t t = 0; t < kT; ++t) {
        for (std::size_t i = 0; i < kC; ++i) refs.push_back(value_name(norm.input, t, i));
      }
      return refs;
    };
  }

  Page& page_;
  const OnePass& pass_;
  std::map<std::string, std::size_t> offsets_;
};

double norm_of(const std::vector<float>& gradients, const Parameter& p) {
  double sum = 0;
  for (std::int64_t i = 0; i < p.shape.numel(); ++i) {
    const auto g = static_cast<double>(gradients[static_cast<std::size_t>(p.offset + i)]);
    sum += g * g;
  }
  return std::sqrt(sum);
}

void lengths(Page& page, const OnePass& pass) {
  GPT2 model = printable_model(0);
  BarChart chart{.id = "lengths.chart",
                 .title = "The length of each tensor's gradient: which part the sentence pulls hardest",
                 .x_label = "root of the sum of squares"};
  for (const Parameter& p : model.parameters().table()) {
    const Ref length = page.number(
        "length." + p.name, COMPUTED(norm_of(pass.gradients, p)),
        {.formula = "the root of the sum of the squares of the tensor's gradients", .label = p.name});
    chart.bars.push_back({p.name, length});
  }
  page.add(chart);
}

}  // namespace

void weights(Page& page, const OnePass& pass) {
  page.heading("Every weight and its gradient");
  page.paragraph(
      "The gradients above were needed only on the way. These are what the pass was for: one gradient for "
      "each weight. A weight is used at every token, so its gradient is a sum over the four. The word table "
      "is used twice, to read words and to predict them, and gets both gradients. A word that does not occur "
      "in the sentence still gets one: its logit must go down.");
  Tables tables(page, pass);
  page.alternatives("weights", "Weights of", [&] {
    page.step("Embeddings");
    tables.embeddings();
    page.step("Attention");
    page.add(DirectionToggle{"Show:"});
    std::vector<std::string> qkv;
    for (const char* kind : {"query ", "key ", "value "}) {
      for (const std::string& name : numbered(kind, kC)) qkv.push_back(name);
    }
    tables.linear({"qkvw", "qkvb", "qkv", "n1"}, 3 * kC, kC, "`qkvw` (3C, C) = (12, 4)", qkv,
                  {"query", "key", "value"});
    tables.linear({"attprojw", "attprojb", "att", "heads"}, kC, kC, "`attprojw` (C, C) = (4, 4)",
                  numbered("channel ", kC), {"bias"});
    page.step("MLP");
    page.add(DirectionToggle{"Show:"});
    tables.linear({"fcw", "fcb", "fc", "n2"}, 4 * kC, kC, "`fcw` (4C, C) = (16, 4)",
                  numbered("unit ", 4 * kC), {"unit 0 + ", "unit 4 + ", "unit 8 + ", "unit 12 + "});
    tables.linear({"fcprojw", "fcprojb", "mlp", "gelu"}, kC, 4 * kC,
                  "`fcprojw` (C, 4C) = (4, 16), turned on its side", {}, {"bias"});
    page.step("Norms");
    tables.norms();
  });
  page.paragraph(
      "The biases of the keys have the gradient 0, apart from rounding: the same number added to all keys "
      "changes all scores of a query alike, and softmax does not see it.");
  lengths(page, pass);
}

}  // namespace inkling
