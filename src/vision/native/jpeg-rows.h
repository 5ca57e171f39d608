#pragma once

#include "rows.h"
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

/** The rows of any JPEG, decoded by libvips in the thread that asks for them. */
class JpegRows : public Rows {
 public:
  /** @param bytes stay the caller's, and unchanged as long as this lives */
  JpegRows(const Vips &vips, const std::uint8_t *bytes, std::size_t length) : vips(vips), bytes(bytes), length(length) {}
  ~JpegRows() override;
  JpegRows(const JpegRows &) = delete;
  JpegRows &operator=(const JpegRows &) = delete;

  /** @returns false unless it is a sound header of this shape, and the pixels are sRGB or grey without a profile */
  bool open(const JpegShape &shape);

  int width() const override { return columns; }
  int height() const override { return rows; }
  int channels() const override { return bands; }
  const std::uint8_t *read(int top, int count, const Part &wanted) override;

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
