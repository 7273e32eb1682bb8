#include "apps/page/markup.h"

#include "core/error.h"

namespace inkling::page {

namespace {

struct Delimiter {
  char open, close;
  Span::Kind kind;
};
constexpr Delimiter kDelimiters[] = {{'`', '`', Span::Kind::code},
                                     {'*', '*', Span::Kind::strong},
                                     {'$', '$', Span::Kind::math},
                                     {'{', '}', Span::Kind::number}};

const Delimiter* delimiter(char c) {
  for (const Delimiter& d : kDelimiters) {
    if (d.open == c) return &d;
  }
  return nullptr;
}

}  // namespace

std::vector<Span> parse_markup(std::string_view text) {
  std::vector<Span> spans;
  std::string plain;
  const auto end_plain = [&] {
    if (!plain.empty()) spans.push_back({Span::Kind::text, plain});
    plain.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      plain += text[++i];
      continue;
    }
    const Delimiter* d = delimiter(text[i]);
    if (d == nullptr) {
      plain += text[i];
      continue;
    }
    const std::size_t end = text.find(d->close, i + 1);
    if (end == std::string_view::npos) {
      fail("page: text \"", text, "\": the ", d->open, " at character ", i, " is not closed");
    }
    end_plain();
    spans.push_back({d->kind, std::string(text.substr(i + 1, end - i - 1))});
    i = end;
  }
  end_plain();
  return spans;
}

std::string verbatim(std::string_view text) {
  std::string marked;
  for (const char c : text) {
    if (c == '\\' || delimiter(c) != nullptr) marked += '\\';
    marked += c;
  }
  return marked;
}

std::vector<MathPart> parse_math(std::string_view formula) {
  std::vector<MathPart> parts;
  std::string plain;
  for (std::size_t i = 0; i < formula.size(); ++i) {
    const bool script = (formula[i] == '_' || formula[i] == '^') && i + 1 < formula.size();
    if (!script) {
      plain += formula[i];
      continue;
    }
    const auto kind = formula[i] == '_' ? MathPart::Kind::sub : MathPart::Kind::sup;
    if (!plain.empty()) parts.push_back({MathPart::Kind::plain, plain});
    plain.clear();
    std::size_t end = i + 2;  // one character, or what is between braces
    if (formula[i + 1] == '{') {
      const std::size_t brace = formula.find('}', i);
      if (brace == std::string_view::npos) fail("page: formula \"", formula, "\": a { is not closed");
      parts.push_back({kind, std::string(formula.substr(i + 2, brace - i - 2))});
      end = brace + 1;
    } else {
      parts.push_back({kind, std::string(formula.substr(i + 1, 1))});
    }
    i = end - 1;
  }
  if (!plain.empty()) parts.push_back({MathPart::Kind::plain, plain});
  return parts;
}

}  // namespace inkling::page
