// The parts of lesson 2 that are in files of their own, and what they share.
#pragma once

#include <cstdint>
#include <vector>

#include "apps/lessons/lessons.h"

namespace inkling {

// The engine's loss of one prediction: -log softmax(logits)[target], in nats (ops/cross_entropy.h).
double loss_of(std::vector<float> logits, std::int32_t target);

// Why a logarithm: the table, the curve, and products that become 0 (why_a_logarithm.cc).
void why_a_logarithm(page::Page& page, const LessonSettings& settings);

// The softmax that overflows beside the safe one (safe_softmax.cc).
void safe_softmax(page::Page& page, const LessonSettings& settings);

// Losses to compare with: ln V, unigrams, bigrams, a small model, the minimum over rows (ruler_of_losses.cc).
void ruler_of_losses(page::Page& page, const LessonSettings& settings);

// The engine's functions, as lesson 2 names them.
constexpr const char* kSoftmaxEngine = "softmax_forward in ops/softmax_simd.h";
constexpr const char* kCrossEntropyEngine = "cross_entropy_forward in ops/cross_entropy_simd.h";

}  // namespace inkling
