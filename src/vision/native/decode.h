#pragma once

#include <chrono>

#include "picture-math.h"
#include "vips.h"
#include "weighing.h"

/** From a JPEG to the pixels of a model; all sizes are those seen upright. */
struct DecodePlan {
  int width, height;
  /** EXIF: 1 to 8. */
  int orientation;
  /** 1, 2, 4 or 8. */
  int shrink;
  /** What the whole picture is scaled to, and what is kept of that. */
  int targetWidth, targetHeight;
  int left, top, windowWidth, windowHeight;
  std::chrono::milliseconds timeout;
};

enum class Outcome {
  /** By the decoder of our own. */
  DECODED,
  DECODED_BY_LIBVIPS,
  /** Not a sound JPEG of this plan, or one with colours that must be converted. */
  REFUSED,
  LATE,
};

struct Jpeg {
  const std::uint8_t *bytes;
  std::size_t length;
};

struct DecodeTools {
  const Vips &vips;
  const PictureMath &math;
  const Weighing &weighing;
};

/** @param pixels room for the window: RGB, of which nothing can be said unless it was decoded */
Outcome decode(const DecodeTools &tools, const Jpeg &jpeg, const DecodePlan &plan, std::uint8_t *pixels);
