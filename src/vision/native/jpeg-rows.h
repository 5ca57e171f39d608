#pragma once

#include "vips.h"

/** What the header of a JPEG must say, as it is stored, for its rows to be read. */
struct JpegShape {
  int width;
  int height;
  /** EXIF: 1 to 8. */
  int orientation;
  /** 1, 2, 4 or 8: the picture is decoded at this part of its size, rounded down. */
  int shrink;
};

/** The rows of a JPEG from the top down, decoded in the thread that asks for them. */
class JpegRows {
 public:
  /** @param bytes stay the caller's, and unchanged as long as this lives */
  JpegRows(const Vips &vips, const std::uint8_t *bytes, std::size_t length) : vips(vips), bytes(bytes), length(length) {}
  ~JpegRows();
  JpegRows(const JpegRows &) = delete;
  JpegRows &operator=(const JpegRows &) = delete;

  /** @returns false unless it is a sound header of this shape, and the pixels are sRGB or grey without a profile */
  bool open(const JpegShape &shape);

  /** Pixels a row. */
  int width() const { return columns; }
  int height() const { return rows; }
  /** Bytes a pixel: 3 (RGB) or 1 (grey). */
  int channels() const { return bands; }

  /** @returns `count` rows from `top` on, until the next call; null where libvips finds fault, even a mere warning */
  const std::uint8_t *read(int top, int count);

 private:
  bool isPlain() const;

  const Vips &vips;
  const std::uint8_t *bytes;
  std::size_t length;
  int columns = 0, rows = 0, bands = 0;
  VipsImage *image = nullptr;
  VipsRegion *region = nullptr;
  std::uint8_t *strip = nullptr;
};
