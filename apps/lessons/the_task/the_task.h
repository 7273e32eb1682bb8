// The parts of lesson 1 that are in files of their own, and what they share.
#pragma once

#include <string>

#include "apps/lessons/lessons.h"
#include "nn/gpt2.h"

namespace inkling {

// One pass of the model is as many predictions as the text has tokens; training with and without the label
// shift (one_pass.cc). The result is the trained model.
GPT2 train_on_the_task(page::Page& page, const LessonSettings& settings);
void one_pass(page::Page& page, GPT2& model);

// Teacher forcing beside free running (teacher_forcing.cc).
void teacher_forcing(page::Page& page, GPT2& model, const LessonSettings& settings);
void errors_compound(page::Page& page, GPT2& model, const LessonSettings& settings);

// A token in quotes, so that its space can be seen.
std::string quoted(const std::string& token);

}  // namespace inkling
