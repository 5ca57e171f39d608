#include "resampler.h"

#include <algorithm>
#include <cstring>

namespace {

bool isDownFirst(const ResamplerPlan &plan) {
  const AxisPlan &width = plan.isTransposed ? plan.down : plan.across;
  const AxisPlan &height = plan.isTransposed ? plan.across : plan.down;
  const int narrowed = width.source - width.target;
  const int lowered = height.source - height.target;
  const bool isHeightFirst = lowered > 0 && lowered > 2 * narrowed;
  return isHeightFirst != plan.isTransposed;
}

std::size_t rowBytes(int pixels) { return 3 * static_cast<std::size_t>(pixels); }

}  // namespace

Resampler::Resampler(const Weighing &weighing, const ResamplerPlan &plan, std::uint8_t *pixels)
    : weighing(weighing),
      across(plan.across),
      down(plan.down),
      isTransposed(plan.isTransposed),
      isDownFirst(::isDownFirst(plan)),
      isScaledAcross(!across.isUnscaled() || across.isMirrored()),
      pixels(pixels),
      kept(rowBytes(isDownFirst ? plan.across.source : across.length())),
      stride(kept + ROW_PADDING),
      slots(down.longest() + ROWS_TOGETHER - 1),
      ring(stride * slots),
      together(down.longest()),
      half(isDownFirst ? stride : 0),
      line(rowBytes(across.length()) + ROW_PADDING) {}

void Resampler::take(const std::uint8_t *const *rows, int count) {
  const int first = std::max(next, down.begin());
  const int end = std::min(next + count, down.end());
  if (first < end) hold(rows + (first - next), first, end - first);
  next += count;
  for (; done < down.length(); done++) {
    const int position = down.isMirrored() ? down.length() - 1 - done : done;
    const Axis::Taps taps = down.taps(position);
    if (taps.first + taps.count > next) return;
    finish(position, taps);
  }
}

void Resampler::hold(const std::uint8_t *const *rows, int first, int count) {
  std::uint8_t *places[ROWS_TOGETHER];
  for (int i = 0; i < count; i++) places[i] = slot(first + i);
  if (!isDownFirst && isScaledAcross && count == ROWS_TOGETHER) {
    weighing.acrossTogether(rows, across, places);
    return;
  }
  for (int i = 0; i < count; i++) {
    if (isDownFirst) {
      std::memcpy(places[i], rows[i], kept);
    } else {
      scaleAcross(rows[i], places[i]);
    }
  }
}

void Resampler::finish(int position, const Axis::Taps &taps) {
  const std::size_t length = rowBytes(across.length());
  if (isDownFirst) {
    const std::size_t from = rowBytes(across.begin());
    scaleDown(taps, from, rowBytes(across.end()) - from, half.data() + from);
    scaleAcross(half.data(), line.data());
  } else {
    scaleDown(taps, 0, length, line.data());
  }
  if (!isTransposed) {
    std::memcpy(pixels + position * length, line.data(), length);
    return;
  }
  std::uint8_t *place = pixels + rowBytes(position);
  for (int i = 0; i < across.length(); i++, place += rowBytes(down.length())) {
    std::memcpy(place, line.data() + rowBytes(i), 3);
  }
}

void Resampler::scaleAcross(const std::uint8_t *row, std::uint8_t *result) const {
  if (isScaledAcross) {
    weighing.across(&row, across, &result);
  } else {
    std::memcpy(result, row + rowBytes(across.begin()), rowBytes(across.length()));
  }
}

void Resampler::scaleDown(const Axis::Taps &taps, std::size_t from, std::size_t length, std::uint8_t *result) {
  if (down.isUnscaled()) {
    std::memcpy(result, slot(taps.first) + from, length);
    return;
  }
  for (int i = 0; i < taps.count; i++) together[i] = slot(taps.first + i) + from;
  weighing.down(together.data(), taps, length, result);
}
