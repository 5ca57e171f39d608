#include "decode.h"

#include <algorithm>
#include <cstring>

#include "resampler.h"

namespace {

/** Rows asked for at once: as many as libjpeg makes of one row of blocks with halved colours. */
constexpr int STRIP = 16;

/** How a picture is stored, by its EXIF orientation. */
struct Turn {
  explicit Turn(int orientation)
      : isTransposed(orientation >= 5),
        isMirroredAcross(orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8),
        isMirroredDown(orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) {}

  const bool isTransposed, isMirroredAcross, isMirroredDown;
};

struct Direction {
  int side, target, windowFrom, windowLength;
};

AxisPlan planAxis(const Direction &direction, int shrink, bool isMirrored) {
  // libvips leaves out a last pixel that would not stand for whole ones: it is missing, but the scale is right.
  const int source = direction.side / shrink;
  const float extent = static_cast<float>(direction.side) / static_cast<float>(shrink);
  const float from = isMirrored ? static_cast<float>(source) - extent : 0;
  return {source, from, from + extent, direction.target, direction.windowFrom, direction.windowLength, isMirrored};
}

ResamplerPlan planResampler(const DecodePlan &plan, const Turn &turn) {
  Direction across = {plan.width, plan.targetWidth, plan.left, plan.windowWidth};
  Direction down = {plan.height, plan.targetHeight, plan.top, plan.windowHeight};
  if (turn.isTransposed) std::swap(across, down);
  return {planAxis(across, plan.shrink, turn.isMirroredAcross), planAxis(down, plan.shrink, turn.isMirroredDown),
          turn.isTransposed};
}

void toRgb(const std::uint8_t *row, int width, int channels, std::uint8_t *result) {
  if (channels == 3) {
    std::memcpy(result, row, 3 * static_cast<std::size_t>(width));
    return;
  }
  for (int i = 0; i < width; i++, result += 3) result[0] = result[1] = result[2] = row[i];
}

}  // namespace

Outcome decode(const Vips &vips, const Weighing &weighing, const Jpeg &jpeg, const DecodePlan &plan,
               std::uint8_t *pixels) {
  const auto deadline = std::chrono::steady_clock::now() + plan.timeout;
  const Turn turn(plan.orientation);
  JpegRows rows(vips, jpeg.bytes, jpeg.length);
  const int width = turn.isTransposed ? plan.height : plan.width;
  const int height = turn.isTransposed ? plan.width : plan.height;
  if (!rows.open({width, height, plan.orientation, plan.shrink})) return Outcome::REFUSED;
  Resampler resampler(weighing, planResampler(plan, turn), pixels);
  std::vector<std::uint8_t> line(3 * static_cast<std::size_t>(rows.width()) + ROW_PADDING);
  // To the last row, wanted or not: a file that is cut off is found out only there.
  for (int top = 0; top < rows.height(); top += STRIP) {
    if (std::chrono::steady_clock::now() > deadline) return Outcome::LATE;
    const int count = std::min(STRIP, rows.height() - top);
    const std::uint8_t *row = rows.read(top, count);
    if (row == nullptr) return Outcome::REFUSED;
    for (int i = 0; i < count; i++, row += rows.width() * rows.channels()) {
      toRgb(row, rows.width(), rows.channels(), line.data());
      resampler.take(line.data());
    }
  }
  return Outcome::DECODED;
}
