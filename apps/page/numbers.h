// The numbers of a page: each has a unique name, a value, the way in which it is printed, a formula, the
// numbers that it was computed from, and the line of source code that computed it.
//
// COMPUTED(expression) evaluates an expression and remembers its text, file and line:
//
//   const auto p = COMPUTED(softmax(tape, logits));            p.value is the Tensor
//   page.number("softmax.p.we", p.at(0), {.digits = 4, .formula = "e^{2.1} / sum"});
//
// So the page cannot show a line that did not compute the number. The expression must be on one line. A test
// (tests/apps/lessons/lessons_test.cc) compares every file:line with the source tree.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace inkling::page {

struct Source {
  std::string file = {};  // relative to the root of the source tree
  int line = 0;
  std::string code = {};  // the expression, or "given" for a number that a document gives
};

template <class T>
struct Computed {
  T value;
  Source source;

  // Element i of a tensor of f32 or of a container.
  Computed<double> at(std::int64_t i) const {
    if constexpr (std::is_same_v<T, Tensor>) {
      return {static_cast<double>(value.f32()[i]), source};
    } else {
      return {static_cast<double>(value[static_cast<std::size_t>(i)]), source};
    }
  }
  // Another number that the same line computed, for example a member of its result.
  Computed<double> of(double other) const { return {other, source}; }
};

template <class T>
Computed<std::decay_t<T>> computed(T&& value, const char* code, const char* file, int line) {
  return {std::forward<T>(value), {file, line, code}};
}

// The only macro of the pages: no function can see the text of its argument.
#define COMPUTED(...) ::inkling::page::computed((__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

// fixed: 0.1494 with `digits` = 4. scientific: 1.4e-45 with `digits` = 1. count: 50,257.
enum class Print { fixed, scientific, count };

// The name of a number on a page.
struct Ref {
  Ref(std::string number) : name(std::move(number)) {}
  Ref(const char* number) : name(number) {}
  std::string name;
};

struct About {
  int digits = 4;
  std::string formula = {};  // with the markup of markup.h, for example "$-log p_{we}$"
  std::vector<Ref> inputs = {};
  std::string label = {};  // what the number is, for a screen reader: "P(we)"
  std::string engine =
      {};  // the function of the engine that the line runs: "softmax_forward in ops/softmax_simd.h"
  Print print = Print::fixed;
};

struct Number {
  std::string name;
  double value;
  About about;
  Source source;
};

// The number as it is printed, in ASCII. The script of a page (page.js) prints in the same way.
std::string printed(double value, const About& about);

}  // namespace inkling::page
