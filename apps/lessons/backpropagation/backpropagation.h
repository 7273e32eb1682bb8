// The parts of lesson 4 that are in files of their own, and what they share.
#pragma once

#include <string>
#include <vector>

#include "apps/lessons/lessons.h"

namespace inkling {

constexpr const char* kCrossEntropyGradient = "cross_entropy_backward in ops/cross_entropy_simd.h";

// A small network with every gradient, and the graph that the tape recorded (chain_rule.cc).
void chain_rule(page::Page& page, const LessonSettings& settings);

}  // namespace inkling
