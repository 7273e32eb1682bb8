// The parts of lesson 3 that are in files of their own, and what they share.
#pragma once

#include <cstdint>
#include <vector>

#include "apps/lessons/lessons.h"
#include "nn/gpt2.h"

namespace inkling {

// A GPT that has learned stories with the causal mask, and the curve of its training.
struct StoryModel {
  GPT2 model;
  page::Series curve;
};

// What a trained model attends to, with the mask and without it (attention_maps.cc).
void attention_maps(page::Page& page, GPT2& model);

// Training without the causal mask (seeing_the_future.cc). The result is the model that was trained with it.
StoryModel train_with_causal_mask(const LessonSettings& settings);
void seeing_the_future(page::Page& page, StoryModel& right, const LessonSettings& settings);

// The documents' conversation about France, token by token (conversation.cc).
void assistant_only(page::Page& page, const LessonSettings& settings);

// Two models that learn to answer, with the loss mask and without it (fine_tuning.cc).
void fine_tuning(page::Page& page, GPT2& base, const LessonSettings& settings);

constexpr const char* kLossEngine = "loss in nn/gpt2.cc";
constexpr const char* kLessonNotes = "Lesson notes";

}  // namespace inkling
