#pragma once

#include <string>
#include <vector>

#include "axis.h"

/** Bytes behind a row of pixels that are read as well, whatever they are, and may be written over. */
constexpr std::size_t ROW_PADDING = 32;

/**
 * Both ways of scaling; rows are RGB with 8 bits a channel, and have ROW_PADDING bytes behind them. All variants give
 * the same.
 */
struct Weighing {
  /** Scales a row: writes `axis.length()` pixels. `origin` is the source's first pixel, or where that would be. */
  void (*across)(const std::uint8_t *origin, const Axis &axis, std::uint8_t *result);
  /** Makes one row of several, `taps.count` of them, byte by byte; `length` is in bytes. */
  void (*down)(const std::uint8_t *const *rows, const Axis::Taps &taps, std::size_t length, std::uint8_t *result);
};

/** The instructions that this processor supports, the fastest first; the last is `baseline`. */
std::vector<std::string> supportedWeighings();

/** @returns null for what {@link supportedWeighings} does not have */
const Weighing *findWeighing(const std::string &instructions);
