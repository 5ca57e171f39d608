#pragma once

#include <vector>

#include "code-reader.h"
#include "frame.h"
#include "picture-math.h"
#include "rows.h"
#include "scan-bits.h"

/**
 * The rows of a plain JPEG: baseline, colours stored whole, halved across or halved in both directions, or grey. They
 * are those that libjpeg makes of it, bit by bit. Whatever is not as it should be is refused, and never guessed.
 */
class BaselineRows : public Rows {
 public:
  explicit BaselineRows(const PictureMath &math) : math(math) {}

  /** @returns false for every other file; the bytes stay the caller's, and are no longer needed then */
  bool open(const std::uint8_t *bytes, std::size_t length);

  int width() const override { return frame.width; }
  int height() const override { return frame.height; }
  int channels() const override { return frame.channels; }
  /** Whether the file says something of how the picture is turned, which is not looked at here. */
  bool hasExif() const { return frame.hasExif; }

  const std::uint8_t *read(int top, int count, const Part &wanted) override;

 private:
  /** Samples of a component: two bands of groups of blocks, the newest two. */
  struct Plane {
    /** Rows of a band, and samples a row that are of the picture. */
    int rows, width, height;
    std::size_t stride;
    std::vector<std::uint8_t> samples;

    std::uint8_t *row(int y) {
      return samples.data() + static_cast<std::size_t>(y % (2 * rows)) * stride + SAMPLE_MARGIN;
    }
  };

  void layOut();
  bool readBand(const Part &wanted);
  template <bool isWanted>
  bool readBlock(int channel, std::uint8_t *samples, std::size_t stride);
  bool restart();
  void write(int y, const Part &wanted, std::uint8_t *result);
  const std::uint8_t *widened(int channel, int y, int left, int right);

  const PictureMath &math;
  Frame frame;
  ScanBits scan;
  CodeReader dc[3], ac[3];
  Plane planes[3];
  /** Groups of blocks across, and of how many pixels. */
  int groups = 0, groupWidth = 0, groupHeight = 0;
  int bandsRead = 0;
  BitReader bits;
  std::size_t piece = 0;
  int untilRestart = 0;
  int previous[3] = {};
  std::vector<std::uint8_t> strip, wide[2];
};
