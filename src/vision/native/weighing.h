#pragma once

#include <string>
#include <vector>

#include "axis.h"

/** Bytes behind a row of pixels that are read as well, whatever they are, and may be written over. */
constexpr std::size_t ROW_PADDING = 32;

/** Rows that are scaled across together, so that weights are unpacked once for all of them. */
constexpr int ROWS_TOGETHER = 4;

/** Both ways of scaling; rows are RGB with 8 bits a channel, and have ROW_PADDING behind them. All variants agree. */
struct Weighing {
  /** Scales a row: writes `axis.length()` pixels. */
  void (*across)(const std::uint8_t *const *row, const Axis &axis, std::uint8_t *const *result);
  /** The same of ROWS_TOGETHER rows. */
  void (*acrossTogether)(const std::uint8_t *const *rows, const Axis &axis, std::uint8_t *const *results);
  /** Makes one row of several, `taps.count` of them, byte by byte; `length` is in bytes. */
  void (*down)(const std::uint8_t *const *rows, const Axis::Taps &taps, std::size_t length, std::uint8_t *result);
};

/** The instructions that this processor supports, the fastest first; the last is `baseline`. */
std::vector<std::string> supportedWeighings();

/** @returns null for what {@link supportedWeighings} does not have */
const Weighing *findWeighing(const std::string &instructions);
