#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

/** One direction of a picture that is scaled: which pixels of the source each pixel of the window is made of. */
struct AxisPlan {
  /** Pixels of the source, in the direction in which it is stored. */
  int source;
  /** What is scaled, seen upright, in pixels of the source: also between two, or beyond the first or last. */
  float from, to;
  /** Pixels that this part is scaled to, and which of them are kept. */
  int target;
  int windowFrom, windowLength;
  /** Whether the source is stored the other way round. */
  bool isMirrored;
};

/**
 * The weights of the cubic kernel (a = -0.5) that Pillow's `resize(BICUBIC)` gives to pixels of 8 bits: widened when
 * the picture shrinks, cut off at its borders, made to sum up to 1, and rounded to fixed point with 22 bits behind the
 * point (https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Resample.c). What they give is the same to
 * the last bit, in whatever order it is summed up.
 */
class Axis {
 public:
  static constexpr int FRACTION_BITS = 22;
  /** A weight is `high * 2^11 + low`: two factors that the processor multiplies with 16 bits each. */
  static constexpr int LOW_BITS = 11;
  /** Weights come in groups of so many: first the high parts, then the low ones; zeros fill up the last group. */
  static constexpr int GROUP = 4;

  /** The weights of one pixel of the window. */
  struct Taps {
    /** The first pixel of the source, as it is stored, and how many. */
    int first, count;
    /** `groups` times eight numbers. */
    const std::int16_t *weights;
    int groups;

    std::int32_t weight(int tap) const {
      const std::int16_t *group = weights + tap / GROUP * 2 * GROUP;
      return group[tap % GROUP] * (1 << LOW_BITS) + group[GROUP + tap % GROUP];
    }
  };

  explicit Axis(const AxisPlan &plan);

  int length() const { return static_cast<int>(spans.size()); }
  Taps taps(int i) const { return {spans[i].first, spans[i].count, weights.data() + spans[i].at, spans[i].groups}; }
  /** Pixels of the source that the window needs: from `begin()` to before `end()`. */
  int begin() const { return needed.first; }
  int end() const { return needed.first + needed.count; }
  /** The most pixels of the source that one of the window is made of. */
  int longest() const { return most; }
  /** Whether each pixel of the window is one of the source. */
  bool isUnscaled() const { return unscaled; }
  /** Whether later pixels of the window are made of earlier pixels of the source. */
  bool isMirrored() const { return mirrored; }

 private:
  struct Span {
    int first, count, groups;
    std::size_t at;
  };

  void add(int first, const std::vector<double> &kernel);

  std::vector<Span> spans;
  std::vector<std::int16_t> weights;
  Span needed = {0, 0, 0, 0};
  int most = 0;
  bool mirrored, unscaled;
};
