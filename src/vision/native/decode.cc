#include "decode.h"

#include <algorithm>
#include <cstring>

#include "baseline-rows.h"
#include "jpeg-rows.h"
#include "resampler.h"

namespace {

/**
 * Rows asked for at once: as many as libjpeg makes of one row of blocks with halved colours, or fewer, so that their
 * memory is not given back to the system each time; so many as are scaled together at least.
 */
int stripRows(const Rows &rows) {
  constexpr int MOST = 16;
  constexpr int BYTES = 96 << 10;
  const int fitting = BYTES / (rows.width() * rows.channels());
  return std::clamp(fitting - fitting % ROWS_TOGETHER, ROWS_TOGETHER, MOST);
}

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

/** Hands rows on as RGB with ROW_PADDING behind them: copies of them where they have neither. */
class RowFeed {
 public:
  RowFeed(const Rows &rows, Resampler &resampler)
      : width(rows.width()), channels(rows.channels()), resampler(resampler) {
    for (std::vector<std::uint8_t> &copy : copies) copy.resize(std::size_t{3} * width + ROW_PADDING);
  }

  void give(const std::uint8_t *strip, int count) {
    const std::size_t length = static_cast<std::size_t>(width) * channels;
    const std::uint8_t *const end = strip + length * count;
    for (int first = 0; first < count; first += ROWS_TOGETHER) {
      const int now = std::min(ROWS_TOGETHER, count - first);
      const std::uint8_t *rows[ROWS_TOGETHER];
      for (int i = 0; i < now; i++, strip += length) {
        const bool isReady = channels == 3 && static_cast<std::size_t>(end - strip) >= length + ROW_PADDING;
        rows[i] = isReady ? strip : copy(strip, copies[i].data());
      }
      resampler.take(rows, now);
    }
  }

 private:
  const std::uint8_t *copy(const std::uint8_t *row, std::uint8_t *result) const {
    if (channels == 3) return static_cast<const std::uint8_t *>(std::memcpy(result, row, std::size_t{3} * width));
    for (int i = 0; i < width; i++) std::memset(result + 3 * i, row[i], 3);
    return result;
  }

  const int width, channels;
  Resampler &resampler;
  std::vector<std::uint8_t> copies[ROWS_TOGETHER];
};

class Decoder {
 public:
  Decoder(const DecodeTools &tools, const DecodePlan &plan, std::uint8_t *pixels)
      : tools(tools), plan(plan), turn(plan.orientation), pixels(pixels) {}

  Outcome run(const Jpeg &jpeg) const {
    JpegRows any(tools.vips, jpeg.bytes, jpeg.length);
    bool isOpen = false;
    BaselineRows plain(tools.math);
    if (plan.shrink == 1 && isOfThisShape(plain, jpeg)) {
      // How the picture is turned libvips must say, too, unless there is nothing that tells it.
      isOpen = plain.hasExif() && any.open(shape());
      if (isOpen || (!plain.hasExif() && plan.orientation == 1)) {
        const Outcome outcome = scale(plain);
        if (outcome != Outcome::REFUSED) return outcome;
      }
    }
    const Outcome outcome = isOpen || any.open(shape()) ? scale(any) : Outcome::REFUSED;
    return outcome == Outcome::DECODED ? Outcome::DECODED_BY_LIBVIPS : outcome;
  }

 private:
  JpegShape shape() const {
    const int width = turn.isTransposed ? plan.height : plan.width;
    const int height = turn.isTransposed ? plan.width : plan.height;
    return {width, height, plan.orientation, plan.shrink};
  }

  bool isOfThisShape(BaselineRows &plain, const Jpeg &jpeg) const {
    return plain.open(jpeg.bytes, jpeg.length) && plain.width() == shape().width && plain.height() == shape().height;
  }

  Outcome scale(Rows &rows) const {
    Resampler resampler(tools.weighing, planResampler(plan, turn), pixels);
    RowFeed feed(rows, resampler);
    const int strip = stripRows(rows);
    // To the last row, wanted or not: a file that is cut off is found out only there.
    for (int top = 0; top < rows.height(); top += strip) {
      if (std::chrono::steady_clock::now() > deadline) return Outcome::LATE;
      const int count = std::min(strip, rows.height() - top);
      const std::uint8_t *const pixelsOfStrip = rows.read(top, count, resampler.wanted());
      if (pixelsOfStrip == nullptr) return Outcome::REFUSED;
      feed.give(pixelsOfStrip, count);
    }
    return Outcome::DECODED;
  }

  const DecodeTools &tools;
  const DecodePlan &plan;
  const Turn turn;
  std::uint8_t *const pixels;
  const std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::now() + plan.timeout;
};

}  // namespace

Outcome decode(const DecodeTools &tools, const Jpeg &jpeg, const DecodePlan &plan, std::uint8_t *pixels) {
  return Decoder(tools, plan, pixels).run(jpeg);
}
