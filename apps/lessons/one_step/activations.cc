// Lesson 8, the values inside the model: one table for each op, from ids to the losses, with gradients.
#include <array>
#include <cmath>
#include <functional>

#include "apps/lessons/one_step/one_step.h"
#include "apps/page/markup.h"
#include "core/error.h"

namespace inkling {

using namespace page;

namespace {

constexpr std::size_t kT = 4, kC = 4, kNH = 2, kHS = 2;

// How the element (i, j) of a tensor was computed.
struct Origin {
  std::string formula, engine;
  std::function<std::vector<Ref>(std::size_t i, std::size_t j)> inputs;
};

std::string word(std::size_t id) {
  return kSentenceWords[id];
}

// ---- Lists of inputs ----

using Refs = std::vector<Ref>;

Refs operator+(Refs a, const Refs& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
Refs value_row(const std::string& tensor, std::size_t i, std::size_t begin, std::size_t end) {
  Refs row;
  for (std::size_t j = begin; j < end; ++j) row.push_back(value_name(tensor, i, j));
  return row;
}
Refs gradient_row(const std::string& tensor, std::size_t i, std::size_t begin, std::size_t end) {
  Refs row;
  for (std::size_t j = begin; j < end; ++j) row.push_back(gradient_name(tensor, i, j));
  return row;
}
Refs value_column(const std::string& tensor, std::size_t j, std::size_t count) {
  Refs column;
  for (std::size_t i = 0; i < count; ++i) column.push_back(value_name(tensor, i, j));
  return column;
}

// Output j of a linear layer: the row of its input, row j of its weight, and its bias.
Origin linear_output(const std::string& input, std::size_t width, const std::string& weight,
                     const std::string& bias) {
  return {"the sum of input times weight, plus the bias", "multiply_by_weight in ops/linear.cc",
          [=](std::size_t t, std::size_t j) {
            return value_row(input, t, 0, width) + value_row(weight, j, 0, width) +
                   Refs{value_name(bias, 0, j)};
          }};
}
// The gradient of input c of a linear layer: the gradients of its outputs, times column c of its weight.
Origin linear_input_gradient(const std::string& output, std::size_t outputs, const std::string& weight) {
  return {"the sum over the outputs of gradient times weight", "linear in ops/linear.cc",
          [=](std::size_t t, std::size_t c) {
            return gradient_row(output, t, 0, outputs) + value_column(weight, c, outputs);
          }};
}
Origin norm_output(const std::string& input, const std::string& name) {
  return {
      "$(x - mean) / √(var + 10^{-5})$, times weight, plus bias", "layernorm_forward in ops/layernorm_simd.h",
      [=](std::size_t t, std::size_t c) {
        return value_row(input, t, 0, kC) + Refs{value_name(name + "w", 0, c), value_name(name + "b", 0, c)};
      }};
}
// The gradient of a layer norm's input depends on the whole row of its input and on the whole row of its
// output's gradient.
Refs through_norm(const std::string& output, const std::string& input, std::size_t t) {
  return gradient_row(output, t, 0, kC) + value_row(input, t, 0, kC);
}

// ---- Tables ----

Ref add_value(Page& page, const std::string& tensor, const Watched& w, std::size_t i, std::size_t j,
              std::size_t width, const std::string& label, const Origin& origin) {
  const auto value = static_cast<double>(w.value[i * width + j]);
  return page.number(
      value_name(tensor, i, j), Computed<double>{value, w.source},
      {.formula = origin.formula, .inputs = origin.inputs(i, j), .label = label, .engine = origin.engine});
}

Ref add_gradient(Page& page, const std::string& tensor, const OnePass& pass, std::size_t i, std::size_t j,
                 std::size_t width, const std::string& label, const Origin& origin) {
  const auto gradient = static_cast<double>(pass.seen.at(tensor).gradient[i * width + j]);
  return page.number(gradient_name(tensor, i, j), Computed<double>{gradient, pass.backward_source},
                     {.formula = origin.formula,
                      .inputs = origin.inputs(i, j),
                      .label = "gradient of " + label,
                      .engine = origin.engine});
}

// A table of a tensor (T, N): a column for each position, a row for each of its N numbers.
void add_table(Page& page, const OnePass& pass, const std::string& tensor, const std::string& caption,
               const std::vector<std::string>& rows, const Origin& value, const Origin& gradient) {
  const Watched& w = pass.seen.at(tensor);
  Table table{.caption = caption, .columns = {""}};
  for (std::size_t t = 0; t < kT; ++t) table.columns.push_back(verbatim(word(t)));
  for (std::size_t j = 0; j < rows.size(); ++j) {
    std::vector<Cell> row = {rows[j]};
    for (std::size_t t = 0; t < kT; ++t) {
      const std::string label = str(tensor, " ", rows[j], " at ", word(t));
      row.push_back(Cell(add_value(page, tensor, w, t, j, rows.size(), label, value),
                         add_gradient(page, tensor, pass, t, j, rows.size(), label, gradient)));
    }
    table.rows.push_back(row);
  }
  page.add(DirectionToggle{"Show:"});
  page.add(table);
}

// A table of one head of a tensor (NH, T, T): a row for each token that looks, a column for each token that
// it looks at.
void add_square(Page& page, const OnePass& pass, const std::string& tensor, const std::string& caption,
                const Origin& value, const Origin& gradient) {
  const Watched& w = pass.seen.at(tensor);
  page.add(DirectionToggle{"Show:"});
  for (std::size_t h = 0; h < kNH; ++h) {
    Table table{.caption = str(caption, ", head ", h + 1), .columns = {"from, to"}};
    for (std::size_t k = 0; k < kT; ++k) table.columns.push_back(verbatim(word(k)));
    for (std::size_t t = 0; t < kT; ++t) {
      std::vector<Cell> row = {word(t)};
      for (std::size_t k = 0; k < kT; ++k) {
        const std::size_t i = h * kT + t;
        const std::string label = str(tensor, " of head ", h + 1, ", from ", word(t), " to ", word(k));
        row.push_back(Cell(add_value(page, tensor, w, i, k, kT, label, value),
                           add_gradient(page, tensor, pass, i, k, kT, label, gradient)));
      }
      table.rows.push_back(row);
    }
    page.add(table);
  }
}

std::vector<std::string> channels() {
  return numbered("channel ", kC);
}

std::vector<std::string> words() {
  return {kSentenceWords.begin(), kSentenceWords.end()};
}

// ---- The steps of the forward pass ----

void embed(Page& page, const OnePass& pass) {
  page.step("1. Word and position");
  page.paragraph(
      "Each token starts as a row of the word table plus a row of the position table. From here on it is a "
      "vector of $C = 4$ numbers. "
      "Tables have a column for each token.");
  page.formula("x_0 = wte[id] + wpe[t]");
  add_table(page, pass, "x0", "$x_0$ (T, C) = (4, 4)", channels(),
            {"$wte[id] + wpe[t]$", "embedding in ops/embedding.cc",
             [](std::size_t t, std::size_t c) {
               return Refs{value_name("wte", t, c), value_name("wpe", t, c)};
             }},
            {"the gradient that the residual stream brings, plus the gradient through the layer norm",
             "layernorm_backward in ops/layernorm_simd.h", [](std::size_t t, std::size_t c) {
               return Refs{gradient_name("x1", t, c)} + through_norm("n1", "x0", t);
             }});
}

double mean_of(const OnePass& pass, std::size_t t) {
  double sum = 0;
  for (std::size_t c = 0; c < kC; ++c) sum += static_cast<double>(pass.seen.at("x0").value[t * kC + c]);
  return sum / static_cast<double>(kC);
}
double deviation_of(const OnePass& pass, std::size_t t) {
  const double mean = mean_of(pass, t);
  double sum = 0;
  for (std::size_t c = 0; c < kC; ++c) {
    const double off = static_cast<double>(pass.seen.at("x0").value[t * kC + c]) - mean;
    sum += off * off;
  }
  return std::sqrt(sum / static_cast<double>(kC) + 1e-5);
}

void normalise(Page& page, const OnePass& pass) {
  page.step("2. Layer norm");
  const Ref mean = page.number("norm.mean", COMPUTED(mean_of(pass, 1)),
                               {.formula = "the sum of the channels of `we`, divided by 4",
                                .inputs = value_row("x0", 1, 0, kC),
                                .label = "mean of we"});
  page.number("norm.deviation", COMPUTED(deviation_of(pass, 1)),
              {.formula = "$√(var + 10^{-5})$",
               .inputs = Refs{mean} + value_row("x0", 1, 0, kC),
               .label = "deviation of we"});
  page.paragraph(
      "Each token's numbers are shifted to mean 0 and scaled to variance 1. For `we` the mean is {norm.mean} "
      "and the deviation is {norm.deviation}. "
      "The weight of the norm is still 1 and its bias 0.");
  page.formula("n_1 = (x_0 - mean) / √(var + 10^{-5}) * weight + bias");
  add_table(page, pass, "n1", "$n_1$ (T, C) = (4, 4)", channels(), norm_output("x0", "ln1"),
            linear_input_gradient("qkv", 3 * kC, "qkvw"));
}

// The gradient of a query, key or value of a token.
Refs inputs_of_qkv(std::size_t t, std::size_t j) {
  const std::size_t which = j / kC, c = j % kC, h = c / kHS;
  Refs refs;
  for (std::size_t other = 0; other < kT; ++other) {
    if (which == 0) {
      refs.push_back(gradient_name("scores", h * kT + t, other));
      refs.push_back(value_name("qkv", other, kC + c));
    } else {
      refs.push_back(which == 1 ? gradient_name("scores", h * kT + other, t)
                                : value_name("attention", h * kT + other, t));
      refs.push_back(which == 1 ? value_name("qkv", other, c) : gradient_name("heads", other, c));
    }
  }
  return refs;
}

void query(Page& page, const OnePass& pass) {
  page.step("3. Queries, keys and values");
  page.paragraph(
      "One matrix makes 12 numbers of the 4: what each token looks for (query), what it can be found by "
      "(key), and what it passes on (value). "
      "Each of the two heads owns half of each.");
  page.formula("[q, k, v] = W_{qkv} n_1 + b_{qkv}");
  std::vector<std::string> rows;
  for (const char* kind : {"query", "key", "value"}) {
    for (std::size_t c = 0; c < kC; ++c) rows.push_back(str(kind, " ", c, ", head ", c / kHS + 1));
  }
  add_table(page, pass, "qkv", "$qkv$ (T, 3C) = (4, 12)", rows, linear_output("n1", kC, "qkvw", "qkvb"),
            {"queries and keys: the gradients of the scores times keys or queries, divided by $√2$; values: "
             "the probabilities times the gradients of the mixtures",
             "gemm in ops/gemm/gemm.h", inputs_of_qkv});
}

void attend(Page& page, const OnePass& pass) {
  page.step("4. Who looks at whom: scores");
  page.paragraph("A score is the product of a query and a key. Each head has its own.");
  page.formula("score = q * k / √HS, HS = 2");
  add_square(
      page, pass, "scores", "scores (T, T)",
      {"$q * k / √2$", "gemm in ops/gemm/gemm.h",
       [](std::size_t i, std::size_t k) {
         const std::size_t h = i / kT, t = i % kT, at = h * kHS;
         return value_row("qkv", t, at, at + kHS) + value_row("qkv", k, kC + at, kC + at + kHS);
       }},
      {"$P * (dP - sum P dP)$", "softmax_backward in ops/softmax_simd.h", [](std::size_t i, std::size_t) {
         return value_row("attention", i, 0, kT) + gradient_row("attention", i, 0, kT);
       }});
  page.step("5. Mask and softmax");
  page.paragraph(
      "The mask sets the scores of later tokens to minus infinity, so softmax gives them the probability 0. "
      "Each row adds up to 1. The first token can only look at itself: its probability is 1 whatever its "
      "score, so its score has the gradient 0.");
  page.formula("P = softmax(score + mask)");
  add_square(page, pass, "attention", "attention probabilities (T, T)",
             {"$e^{score} / sum$ over the tokens up to this one", "softmax_forward in ops/softmax_simd.h",
              [](std::size_t i, std::size_t) { return value_row("scores", i, 0, i % kT + 1); }},
             {"the gradient of the mixture times the value", "gemm in ops/gemm/gemm.h",
              [](std::size_t i, std::size_t k) {
                const std::size_t h = i / kT, t = i % kT, at = h * kHS;
                return gradient_row("heads", t, at, at + kHS) +
                       value_row("qkv", k, 2 * kC + at, 2 * kC + at + kHS);
              }});
  page.step("6. Values, mixed and joined");
  page.paragraph("Each head mixes the values with its probabilities. The heads' results stand side by side.");
  page.formula("mixture_t = sum_k P_{tk} v_k");
  add_table(page, pass, "heads", "heads joined (T, C) = (4, 4)",
            {"0, head 1", "1, head 1", "2, head 2", "3, head 2"},
            {"the values, weighted by the probabilities", "gemm in ops/gemm/gemm.h",
             [](std::size_t t, std::size_t c) {
               Refs refs = value_row("attention", c / kHS * kT + t, 0, t + 1);
               for (std::size_t k = 0; k <= t; ++k) refs.push_back(value_name("qkv", k, 2 * kC + c));
               return refs;
             }},
            linear_input_gradient("att", kC, "attprojw"));
}

// A residual connection: input plus change. Its gradient is also the gradient of the change.
Origin sum_of(const std::string& input, const std::string& change) {
  return {"the stream plus the change", "binary_forward in ops/elementwise_simd.h",
          [=](std::size_t t, std::size_t c) {
            return Refs{value_name(input, t, c), value_name(change, t, c)};
          }};
}
Origin passed_on(const std::string& sum) {
  return {"a sum passes its gradient on as it is", "binary_backward in ops/elementwise_simd.h",
          [=](std::size_t t, std::size_t c) { return Refs{gradient_name(sum, t, c)}; }};
}

void first_residual(Page& page, const OnePass& pass) {
  page.step("7. Projection and residual");
  page.paragraph(
      "A second matrix turns the joined heads into a change, which is added to the token's own vector. In "
      "backward the sum passes its gradient on to both: the residual stream is a road on which a gradient "
      "comes back unchanged.");
  page.formula("a = W_o heads + b_o,  x_1 = x_0 + a");
  add_table(page, pass, "att", "the change $a$ (T, C) = (4, 4)", channels(),
            linear_output("heads", kC, "attprojw", "attprojb"), passed_on("x1"));
  add_table(page, pass, "x1", "$x_1$ (T, C) = (4, 4)", channels(), sum_of("x0", "att"),
            {"the gradient that the residual stream brings, plus the gradient through the layer norm",
             "layernorm_backward in ops/layernorm_simd.h", [](std::size_t t, std::size_t c) {
               return Refs{gradient_name("x2", t, c)} + through_norm("n2", "x1", t);
             }});
}

void think(Page& page, const OnePass& pass) {
  page.step("8. MLP: wider, and GELU");
  page.paragraph(
      "A second layer norm, then a matrix to $4C = 16$ numbers. GELU keeps positive numbers and nearly "
      "removes negative ones. Here no token sees another.");
  page.formula("n_2 = norm(x_1),  h = W_1 n_2 + b_1,  g = h * Φ(h)");
  add_table(page, pass, "n2", "$n_2$ (T, C) = (4, 4)", channels(), norm_output("x1", "ln2"),
            linear_input_gradient("fc", 4 * kC, "fcw"));
  add_table(page, pass, "fc", "$h$ (T, 4C) = (4, 16)", numbered("unit ", 4 * kC),
            linear_output("n2", kC, "fcw", "fcb"),
            {"$dg * gelu'(h)$", "gelu_backward in ops/gelu_simd.h", [](std::size_t t, std::size_t j) {
               return Refs{gradient_name("gelu", t, j), value_name("fc", t, j)};
             }});
  add_table(page, pass, "gelu", "$g$ (T, 4C) = (4, 16)", numbered("unit ", 4 * kC),
            {"$h / 2 * (1 + tanh(√(2/π) (h + 0.044715 h^3)))$", "gelu_forward in ops/gelu_simd.h",
             [](std::size_t t, std::size_t j) { return Refs{value_name("fc", t, j)}; }},
            linear_input_gradient("mlp", kC, "fcprojw"));
  page.step("9. MLP: back, and residual");
  page.paragraph("From 16 numbers back to 4, and added to the stream.");
  page.formula("m = W_2 g + b_2,  x_2 = x_1 + m");
  add_table(page, pass, "mlp", "the change $m$ (T, C) = (4, 4)", channels(),
            linear_output("gelu", 4 * kC, "fcprojw", "fcprojb"), passed_on("x2"));
  add_table(page, pass, "x2", "$x_2$ (T, C) = (4, 4)", channels(), sum_of("x1", "mlp"),
            {"the gradient through the last layer norm", "layernorm_backward in ops/layernorm_simd.h",
             [](std::size_t t, std::size_t) { return through_norm("nf", "x2", t); }});
}

void predict(Page& page, const OnePass& pass) {
  page.step("10. Last norm and logits");
  page.paragraph(
      "The last layer norm, and then one product with each word's row of the word table: the more the two "
      "vectors agree, the larger the word's logit. The table that read the words also writes them.");
  page.formula("n_f = norm(x_2),  z_v = n_f * wte[v]");
  add_table(page, pass, "nf", "$n_f$ (T, C) = (4, 4)", channels(), norm_output("x2", "lnf"),
            linear_input_gradient("logits", kSentenceWords.size(), "wte"));
  add_table(
      page, pass, "logits", "logits (T, V) = (4, 12)", words(),
      {"$n_f * wte[v]$", "multiply_by_weight in ops/linear.cc",
       [](std::size_t t, std::size_t v) { return value_row("nf", t, 0, kC) + value_row("wte", v, 0, kC); }},
      {"$(P - target) / 4$", "softmax_backward in ops/softmax_simd.h",
       [](std::size_t t, std::size_t v) { return Refs{value_name("p", t, v)}; }});
  page.step("11. Probabilities and losses");
  page.paragraph(
      "Softmax turns each column into probabilities, and the loss of a column is $-log P$ of the word that "
      "really came next. The mean of the four losses is the loss of the step: {loss}. Backward starts here, "
      "with 1/4 for each of the four.");
  page.formula("P = softmax(z),  loss = mean(-log P_{target})");
  add_table(page, pass, "p", "probabilities (T, V) = (4, 12)", words(),
            {"$e^z / sum$", "softmax_forward in ops/softmax_simd.h",
             [](std::size_t t, std::size_t) { return value_row("logits", t, 0, kSentenceWords.size()); }},
            {"$-1 / (4 P)$ for the target, otherwise 0", "unary_backward in ops/elementwise_simd.h",
             [](std::size_t t, std::size_t v) { return Refs{value_name("p", t, v)}; }});
  const auto target_of = [](std::size_t t) { return static_cast<std::size_t>(Sentence().targets[t]); };
  add_table(page, pass, "losses", "losses (T) = (4)", {"loss"},
            {"$-log P_{target}$", "pick in ops/gather.cc",
             [=](std::size_t t, std::size_t) { return Refs{value_name("p", t, target_of(t))}; }},
            {"1/4: the loss of the step is the mean of four", "sum_axis in ops/reduce.cc",
             [](std::size_t, std::size_t) { return Refs{}; }});
  page.number("loss", Computed<double>{pass.loss, pass.backward_source},
              {.formula = "the mean of the four losses",
               .inputs = value_column("losses", 0, kT),
               .label = "loss",
               .engine = "mean in ops/reduce.cc"});
}

}  // namespace

std::string value_name(const std::string& tensor, std::size_t i, std::size_t j) {
  return str(tensor, ".", i, ".", j);
}

std::string gradient_name(const std::string& tensor, std::size_t i, std::size_t j) {
  return str("d.", tensor, ".", i, ".", j);
}

std::vector<std::string> numbered(const std::string& prefix, std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back(prefix + std::to_string(i));
  return names;
}

void activations(Page& page, const OnePass& pass) {
  page.heading("Forward and back, number by number");
  page.paragraph(
      "Go through the model with the buttons. In each table you choose between the values of the forward "
      "pass and their gradients: how the loss of the step would change if this one number grew. Values are "
      "computed from the first step to the last, gradients from the last to the first. (In the terminal, "
      "gradients stand in parentheses.)");
  page.steps("pass", "One pass through the model", [&] {
    embed(page, pass);
    normalise(page, pass);
    query(page, pass);
    attend(page, pass);
    first_residual(page, pass);
    think(page, pass);
    predict(page, pass);
  });
}

}  // namespace inkling
