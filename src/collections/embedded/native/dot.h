#pragma once

#include <cstddef>
#include <string>
#include <vector>

/** Inner product of two vectors of `length` floats. */
using Dot = float (*)(const float *a, const float *b, std::size_t length);

/** Names of the instruction sets that this processor can run, the fastest first; "baseline" is always the last. */
std::vector<std::string> supportedInstructions();

/** The function for a name of `supportedInstructions`; nullptr for any other. */
Dot findDot(const std::string &instructions);
