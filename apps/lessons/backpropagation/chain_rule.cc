// Lesson 4, the chain rule: a network of two layers, every value and every gradient, and the tape's own
// graph.
#include <array>
#include <cmath>
#include <functional>

#include "apps/lessons/backpropagation/backpropagation.h"
#include "apps/lessons/watch.h"
#include "core/error.h"
#include "ops/cross_entropy.h"
#include "ops/gelu.h"
#include "ops/linear.h"

namespace inkling {

using namespace page;

namespace {

// x (2) -> h = W1 x + b1 (3) -> a = gelu(h) (3) -> z = W2 a + b2 (4 logits) -> loss of target 2
struct Network {
  std::array<float, 2> x = {0.5f, -1.0f};
  std::array<float, 6> W1 = {0.1f, -0.3f, 0.5f, 0.2f, -0.1f, 0.4f};
  std::array<float, 3> b1 = {0, 0, 0};
  std::array<float, 12> W2 = {0.3f, -0.1f, 0.4f, -0.2f, 0.5f, 0.1f, -0.3f, 0.2f, 0.6f, -0.4f, 0.1f, 0.3f};
  std::array<float, 4> b2 = {0, 0, 0, 0};
  std::int32_t target = 2;
};

// All values of a forward pass, and all gradients of a backward pass.
struct Pass {
  std::vector<double> h, a, z, dW1, db1, dW2, db2, dh, da, dz;
  double loss = 0;
  Diagram graph;
};

std::vector<double> values(const Tensor& x) {
  return {x.f32(), x.f32() + x.numel()};
}
template <std::size_t N>
std::vector<double> doubles(const std::array<float, N>& x) {
  return {x.begin(), x.end()};
}

// The nodes of a backward pass in rows. Each node is in the first row in which it can run. All nodes of a row
// may run at the same time.
Diagram graph_of(const Graph& graph) {
  Diagram diagram{
      .id = "graph", .title = "The tape's graph: each box is a node of backward", .nodes = {}, .edges = {}};
  std::vector<int> box(graph.node_count(), -1);
  for (std::size_t i = graph.node_count(); i-- > 0;) {  // backward runs in reverse order
    if (!graph.plan().live(i)) continue;
    box[i] = static_cast<int>(diagram.nodes.size());
    diagram.nodes.push_back(
        {graph.node(i).name,
         graph.node(i).shape.rank == 0 ? "the loss" : str("gradient ", graph.node(i).shape), 0});
  }
  for (std::size_t i = graph.node_count(); i-- > 0;) {
    if (!graph.plan().live(i)) continue;
    graph.plan().for_each_successor(static_cast<std::int32_t>(i), [&](std::int32_t next) {
      const int from = box[i], to = box[static_cast<std::size_t>(next)];
      diagram.edges.emplace_back(from, to);
      int& row = diagram.nodes[static_cast<std::size_t>(to)].row;
      row = std::max(row, diagram.nodes[static_cast<std::size_t>(from)].row + 1);
    });
  }
  return diagram;
}

// Runs a forward and a backward pass of the network. If `watching`, additional nodes copy the gradients dh,
// da and dz (watch.h). Otherwise the graph is the same as in a training step, and dh, da and dz stay 0.
Pass run(Network n, bool watching) {
  Tape tape;
  std::array<float, 6> dW1{};
  std::array<float, 12> dW2{};
  std::array<float, 3> db1{}, dh{}, da{};
  std::array<float, 4> db2{}, dz{};
  const auto leaf = [&](auto& weights, auto& gradient, Shape shape) {
    return tape.leaf(weights.data(), gradient.data(), shape, LeafGradient::overwrite);
  };
  const auto seen = [&](const Tensor& x, auto& gradient) {
    return watching ? watch(tape, x, gradient.data()) : x;
  };
  const Tensor x(n.x.data(), {1, 2}), target(&n.target, {1});
  const Tensor h = seen(linear(tape, x, leaf(n.W1, dW1, {3, 2}), leaf(n.b1, db1, {3})), dh);
  const Tensor a = seen(gelu(tape, h), da);
  const Tensor z = seen(linear(tape, a, leaf(n.W2, dW2, {4, 3}), leaf(n.b2, db2, {4})), dz);
  const Tensor loss = cross_entropy(tape, z, target, 4);
  Pass pass;
  pass.h = values(h), pass.a = values(a), pass.z = values(z), pass.loss = static_cast<double>(loss.item());
  tape.backward(loss);
  pass.dW1 = doubles(dW1), pass.db1 = doubles(db1), pass.dW2 = doubles(dW2), pass.db2 = doubles(db2);
  pass.dh = doubles(dh), pass.da = doubles(da), pass.dz = doubles(dz);
  pass.graph = graph_of(tape.graph());
  return pass;
}

// A vector or matrix of the network: its values, its gradients, and what each of them was computed from.
struct Quantity {
  using Inputs = std::function<std::vector<Ref>(std::size_t)>;

  std::string name, value_formula;
  std::vector<double> value;
  Inputs value_inputs;
  std::string gradient_formula;
  std::vector<double> gradient;
  Inputs gradient_inputs;
};

Ref element(const std::string& name, std::size_t i) {
  return str("chain.", name, ".", i);
}

std::vector<Ref> elements(const std::string& name, std::size_t count) {
  std::vector<Ref> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(element(name, i));
  return all;
}

// Adds the numbers of a quantity and a row of the table for each.
void add_quantity(Page& page, Table& table, const Quantity& q, const Computed<Pass>& pass) {
  for (std::size_t i = 0; i < q.value.size(); ++i) {
    const std::string label = str(q.name, "[", i, "]");
    const Ref value = page.number(element(q.name, i).name, pass.of(q.value[i]),
                                  {.formula = q.value_formula, .inputs = q.value_inputs(i), .label = label});
    const Ref gradient = page.number(
        element("d" + q.name, i).name, pass.of(q.gradient[i]),
        {.formula = q.gradient_formula, .inputs = q.gradient_inputs(i), .label = "gradient of " + label});
    table.rows.push_back({label, Cell(value, gradient)});
  }
}

Table quantity_table(const std::string& caption) {
  return {.caption = caption, .columns = {"number", "value or gradient"}};
}

// The elements of a row of a matrix with `columns` columns, and of the vector that it is multiplied by.
std::vector<Ref> row_and_vector(const std::string& matrix, std::size_t row, std::size_t columns,
                                const std::string& vector) {
  std::vector<Ref> all;
  for (std::size_t c = 0; c < columns; ++c) {
    all.push_back(element(matrix, row * columns + c));
    all.push_back(element(vector, c));
  }
  return all;
}

void steps_of_backward(Page& page, const Network& n, const Computed<Pass>& pass) {
  const Pass& p = pass.value;
  const auto none = [](std::size_t) { return std::vector<Ref>{}; };
  Table z = quantity_table("the logits; their gradients are $P - target$");
  add_quantity(page, z,
               {"z", "$W_2 a$", p.z, [](std::size_t o) { return row_and_vector("W2", o, 3, "a"); },
                "$P - target$", p.dz, [](std::size_t) { return elements("z", 4); }},
               pass);
  Table a = quantity_table("after GELU; gradients come through $W_2$");
  add_quantity(page, a,
               {"a", "$gelu(h)$", p.a, [](std::size_t i) { return std::vector<Ref>{element("h", i)}; },
                "the sum over the four logits of $W_2 * dz$", p.da,
                [](std::size_t i) {
                  std::vector<Ref> all;
                  for (std::size_t o = 0; o < 4; ++o)
                    all.insert(all.end(), {element("W2", o * 3 + i), element("dz", o)});
                  return all;
                }},
               pass);
  Table h = quantity_table("before GELU; gradients are multiplied by GELU's slope");
  add_quantity(page, h,
               {"h", "$W_1 x$", p.h, [](std::size_t o) { return row_and_vector("W1", o, 2, "x"); },
                "$da * gelu'(h)$", p.dh,
                [](std::size_t i) {
                  return std::vector<Ref>{element("da", i), element("h", i)};
                }},
               pass);
  Table weights = quantity_table("the weights; a gradient is the gradient of the output times the input");
  add_quantity(page, weights,
               {"W2", "a weight of the document", doubles(n.W2), none, "$dz * a$", p.dW2,
                [](std::size_t i) {
                  return std::vector<Ref>{element("dz", i / 3), element("a", i % 3)};
                }},
               pass);
  add_quantity(page, weights,
               {"W1", "a weight of the document", doubles(n.W1), none, "$dh * x$", p.dW1,
                [](std::size_t i) {
                  return std::vector<Ref>{element("dh", i / 2), element("x", i % 2)};
                }},
               pass);
  page.steps("chain.steps", "From the loss back to the weights", [&] {
    page.step("1. The loss and the logits");
    page.paragraph("The loss is {chain.loss}.");
    page.add(z);
    page.step("2. Through the second layer");
    page.add(a);
    page.step("3. Through GELU");
    page.add(h);
    page.step("4. The weights");
    page.add(weights);
  });
}

void small_network(Page& page) {
  const Network n;
  const auto pass = COMPUTED(run(n, true));
  page.heading("The chain rule, number by number");
  page.given("chain.x.0", doubles(n.x)[0], {.digits = 1, .formula = "an input", .label = "x[0]"});
  page.given("chain.x.1", doubles(n.x)[1], {.digits = 1, .formula = "an input", .label = "x[1]"});
  page.paragraph(
      "A network with two layers: the input $x$ is ({chain.x.0}, {chain.x.1}), $h = W_1 x$, then $a = "
      "gelu(h)$, then four logits $z = W_2 a$, then the loss. Its weights are the first weights of the "
      "documents' model. The biases are 0.");
  page.paragraph(
      "Backward goes the other way. Each step multiplies the gradient that it gets by its own slope, and "
      "hands the product on. So every number gets its gradient from the numbers that were computed from it. "
      "A bias gets the gradient of the number that it is added to.");
  page.number("chain.loss", pass.of(pass.value.loss),
              {.formula = "$-log P(target)$",
               .inputs = elements("z", 4),
               .label = "loss",
               .engine = "cross_entropy_forward in ops/cross_entropy_simd.h"});
  page.add(DirectionToggle{"Show in the tables:"});
  steps_of_backward(page, n, pass);
}

int longest_chain(const Diagram& diagram) {
  int rows = 0;
  for (const DiagramNode& node : diagram.nodes) rows = std::max(rows, node.row + 1);
  return rows;
}

void graph(Page& page) {
  page.heading("The graph, as the tape recorded it");
  page.paragraph(
      "While the network runs forward, the tape notes what backward must do. Each box below waits for the "
      "boxes that lead to it. Boxes in one row do not wait for each other, so they may run at the same "
      "time.");
  const auto recorded = COMPUTED(run(Network{}, false).graph);
  page.number("graph.nodes", COMPUTED(std::ssize(recorded.value.nodes)),
              {.formula = "the nodes of the tape", .label = "nodes", .print = Print::count});
  page.number("graph.rows", COMPUTED(longest_chain(recorded.value)),
              {.formula = "the longest chain of nodes that wait for each other",
               .inputs = {"graph.nodes"},
               .label = "rows",
               .print = Print::count});
  page.add(recorded.value);
  page.paragraph(
      "{graph.nodes} nodes need {graph.rows} steps, one after another. The gradients of the weights "
      "(`linear.dweight`) are needed only at the end, so idle threads compute them beside the chain that "
      "leads back (`linear.dx`).");
}

}  // namespace

void chain_rule(Page& page, const LessonSettings&) {
  small_network(page);
  graph(page);
}

}  // namespace inkling
