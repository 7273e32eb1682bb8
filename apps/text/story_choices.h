// Multiple-choice questions about the default stories, with one right ending each.
//
//   context   There once was a dreamy girl named Rosa. ... "You are a brave girl," whispered her
//   endings    grandma.   grandpa.   uncle.   teacher.
//
// At the place of a question, the story so far leaves only one word: the grammar gives it probability 1. The
// wrong endings have another word of the same list there, which the grammar cannot write. So a model that
// looks back in the text gets every question right, and a model that guesses gets a quarter of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/text/choices.h"

namespace inkling {

// Writes `count` questions about stories that the seed's training and validation shards do not have. An
// ending ends where its sentence ends. The right one is at a random place. The same seed gives the same
// questions.
std::vector<Question> story_choices(std::uint64_t seed, std::int64_t count);

}  // namespace inkling
