#pragma once

#include "rows.h"
#include "weighing.h"

/** The two directions of a picture as it is stored. */
struct ResamplerPlan {
  AxisPlan across, down;
  /** Whether what is stored across is seen upright as down. */
  bool isTransposed;
};

/**
 * Scales a picture row by row as Pillow 13 does: first across, then down, as seen upright, with 8 bits in between; the
 * other way round where the height shrinks by more than twice as many pixels as the width. It holds hardly more
 * rows than one pixel of the result is made of.
 */
class Resampler {
 public:
  /** @param pixels room for the window, upright, RGB */
  Resampler(const Weighing &weighing, const ResamplerPlan &plan, std::uint8_t *pixels);

  /** What the window is made of. */
  Part wanted() const { return {across.begin(), down.begin(), across.end(), down.end()}; }

  /** Takes the next rows, at most ROWS_TOGETHER: RGB, with ROW_PADDING bytes behind each; of pixels that are not wanted, anything. */
  void take(const std::uint8_t *const *rows, int count);

 private:
  std::uint8_t *slot(int row) { return ring.data() + row % slots * stride; }
  void hold(const std::uint8_t *const *rows, int first, int count);
  void finish(int position, const Axis::Taps &taps);
  void scaleAcross(const std::uint8_t *row, std::uint8_t *result) const;
  void scaleDown(const Axis::Taps &taps, std::size_t from, std::size_t length, std::uint8_t *result);

  const Weighing &weighing;
  const Axis across, down;
  const bool isTransposed;
  /** As the picture is stored. */
  const bool isDownFirst;
  /** Otherwise the window's part of a row is what it is. */
  const bool isScaledAcross;
  std::uint8_t *const pixels;
  /** Bytes of a row that is held, and from one to the next. */
  const std::size_t kept, stride;
  const int slots;
  std::vector<std::uint8_t> ring;
  std::vector<const std::uint8_t *> together;
  /** One row, as it is stored, that is scaled down but not across, and wholly. */
  std::vector<std::uint8_t> half, line;
  /** Rows taken, and pixels of the window done in the direction down. */
  int next = 0, done = 0;
};
