#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

/** Bytes before and behind a row of samples that may be written over, and are read: the outermost ones are repeated. */
constexpr std::size_t SAMPLE_MARGIN = 32;

/**
 * From coefficients to RGB by the sums of libjpeg (`jidctint.c`, `jdsample.c`, `jdcolor.c` of libjpeg-turbo), to the last
 * bit. All variants agree.
 */
struct PictureMath {
  /**
   * The inverse transform of a block, the accurate one in integers.
   *
   * @param block 8 x 8 coefficients, row by row, each column's sum without signs at most MOST_IN_COLUMN
   * @param samples 8 rows, `stride` bytes apart
   */
  void (*transform)(const std::int16_t *block, std::uint8_t *samples, std::size_t stride);
  /** Writes two samples for each of `count`: three quarters of it and a quarter of its neighbour. */
  void (*widen)(const std::uint8_t *samples, int count, std::uint8_t *result);
  /** The same of two rows at once, of which `near` counts three times as much as `far`. */
  void (*widenTwo)(const std::uint8_t *near, const std::uint8_t *far, int count, std::uint8_t *result);
  /** Luma and two differences of colour become RGB. */
  void (*colour)(const std::uint8_t *luma, const std::uint8_t *blue, const std::uint8_t *red, int count,
                 std::uint8_t *rgb);
};

/** Within it no sum goes beyond 16 bits where libjpeg has only so many; what was a picture stays within. */
constexpr int MOST_IN_COLUMN = 2950;

/** @returns null for what `supportedWeighings` does not have */
const PictureMath *findPictureMath(const std::string &instructions);
