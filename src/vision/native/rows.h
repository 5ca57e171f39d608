#pragma once

#include <cstddef>
#include <cstdint>

/** The part of a picture whose pixels are asked for, from `left` and `top` to before `right` and `bottom`. */
struct Part {
  int left, top, right, bottom;
};

/** The rows of a picture from the top down, as it is stored. */
class Rows {
 public:
  virtual ~Rows() = default;

  /** Pixels a row. */
  virtual int width() const = 0;
  virtual int height() const = 0;
  /** Bytes a pixel: 3 (RGB) or 1 (grey). */
  virtual int channels() const = 0;

  /**
   * @param wanted nothing can be said of pixels outside
   * @returns `count` rows from `top` on, until the next call; null where something is wrong, even a trifle
   */
  virtual const std::uint8_t *read(int top, int count, const Part &wanted) = 0;
};
