// Multiple-choice questions in llm.c's format for HellaSwag (Zellers et al. 2019): a context and several
// endings, of which one is right.
//
// A file has a header, h[0]=20240522 h[1]=1 h[2]=number of questions h[3]=bytes of the longest question, and
// then the questions. A question is a sequence of uint16:
//   65535, its own size in bytes (all of it), its index, the label (which ending is right, from 0),
//   the number of endings, n, the n tokens of the context, and for each ending: n, its n tokens
// So the file has the right answers, too. This file does not know the model; apps/eval/choice_eval.h measures
// it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/binary_file.h"

namespace inkling {

constexpr std::int32_t kChoicesMagic = 20240522;

struct Question {
  std::vector<std::int32_t> context;               // at least one token
  std::vector<std::vector<std::int32_t>> endings;  // at least one, each of at least one token
  std::size_t label = 0;                           // the index of the right ending
};

// Reads a file, and checks everything in it but the ids, because the vocabulary is unknown. The second
// function takes bytes, not a file, so that tests can pass any bytes.
std::vector<Question> read_choices(const std::string& path);
std::vector<Question> parse_choices(ByteReader in);

// Error unless all ids are below vocab_size. `path` is used in messages.
void check_tokens(std::span<const Question> questions, std::int64_t vocab_size, const std::string& path);

// Writes a file. Error for a question that the format cannot hold: an id of 65,536 or more, a size of 65,536
// bytes or more.
void write_choices(const std::string& path, std::span<const Question> questions);

}  // namespace inkling
