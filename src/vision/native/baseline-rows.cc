#include "baseline-rows.h"

#include <algorithm>
#include <cstdlib>

#include "weighing.h"

namespace {

/** More are of no picture with 8 bits. */
constexpr int HIGHEST_DC_SIZE = 11;
constexpr int MOST_DC = 2047;

constexpr int END_OF_BLOCK = 0;
constexpr int SIXTEEN_ZEROS = 0xf0;

constexpr std::uint8_t ZIGZAG[64] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
};

/** @param sum of all coefficients of the block, without their signs */
bool isWithinBounds(const std::int16_t *block, int sum) {
  if (sum <= MOST_IN_COLUMN) return true;
  if (sum > 8 * MOST_IN_COLUMN) return false;
  for (int column = 0; column < 8; column++) {
    int inColumn = 0;
    for (int row = 0; row < 8; row++) inColumn += std::abs(block[8 * row + column]);
    if (inColumn > MOST_IN_COLUMN) return false;
  }
  return true;
}

int roundedUp(int number, int divisor) { return (number + divisor - 1) / divisor; }

}  // namespace

bool BaselineRows::open(const std::uint8_t *bytes, std::size_t length) {
  if (!readFrame(bytes, length, &frame)) return false;
  for (int i = 0; i < frame.channels; i++) {
    const Frame::Component &component = frame.components[i];
    if (!dc[i].build(frame.dc[component.dcTable], HIGHEST_DC_SIZE)) return false;
    if (!ac[i].build(frame.ac[component.acTable], 255)) return false;
  }
  // libjpeg widens fewer samples than that in another way.
  if (frame.across == 2 && roundedUp(frame.width, 2) <= 2) return false;
  if (!scan.open(bytes + frame.scan, length - frame.scan)) return false;
  layOut();
  const std::size_t all = static_cast<std::size_t>(groups) * roundedUp(frame.height, groupHeight);
  const std::size_t interval = frame.restartInterval;
  if (scan.restarts() != (interval == 0 ? 0 : (all - 1) / interval)) return false;
  bits.start(scan.begin(0));
  untilRestart = frame.restartInterval;
  return true;
}

void BaselineRows::layOut() {
  groupWidth = 8 * frame.across;
  groupHeight = 8 * frame.down;
  groups = roundedUp(frame.width, groupWidth);
  for (int i = 0; i < frame.channels; i++) {
    const int across = i == 0 ? 1 : frame.across, down = i == 0 ? 1 : frame.down;
    Plane &plane = planes[i];
    plane.rows = groupHeight / down;
    plane.width = roundedUp(frame.width, across);
    plane.height = roundedUp(frame.height, down);
    plane.stride = static_cast<std::size_t>(groups) * groupWidth / across + 2 * SAMPLE_MARGIN;
    plane.samples.assign(plane.stride * 2 * plane.rows, 0);
  }
  for (std::vector<std::uint8_t> &row : wide) {
    row.resize(static_cast<std::size_t>(groups) * groupWidth + 2 * SAMPLE_MARGIN);
  }
}

const std::uint8_t *BaselineRows::read(int top, int count, const Part &wanted) {
  const std::size_t length = static_cast<std::size_t>(frame.width) * frame.channels;
  strip.resize(length * count + ROW_PADDING);
  for (int i = 0; i < count; i++) {
    // A row is made of the colours of the one below, too.
    const int lowest = std::min(top + i + (frame.down - 1), frame.height - 1);
    while (bandsRead * groupHeight <= lowest) {
      if (!readBand(wanted)) return nullptr;
    }
    if (top + i >= wanted.top && top + i < wanted.bottom) write(top + i, wanted, strip.data() + length * i);
  }
  return strip.data();
}

bool BaselineRows::readBand(const Part &wanted) {
  // Neighbours two pixels away have a part in the colours.
  const int top = bandsRead * groupHeight;
  const bool isBandWanted = top < wanted.bottom + 2 && top + groupHeight > wanted.top - 2;
  for (int group = 0; group < groups; group++) {
    if (frame.restartInterval > 0 && untilRestart-- == 0 && !restart()) return false;
    const int left = group * groupWidth;
    const bool isWanted = isBandWanted && left < wanted.right + 2 && left + groupWidth > wanted.left - 2;
    for (int channel = 0; channel < frame.channels; channel++) {
      Plane &plane = planes[channel];
      const int across = channel == 0 ? frame.across : 1, down = channel == 0 ? frame.down : 1;
      for (int row = 0; row < down; row++) {
        std::uint8_t *const samples = plane.row(bandsRead * plane.rows + 8 * row) + 8 * group * across;
        for (int column = 0; column < across; column++) {
          const bool isRead = isWanted ? readBlock<true>(channel, samples + 8 * column, plane.stride)
                                       : readBlock<false>(channel, samples + 8 * column, plane.stride);
          if (!isRead) return false;
        }
      }
    }
  }
  bandsRead++;
  // At the end some bits of the last byte are left, and nothing behind it.
  return bandsRead * groupHeight < frame.height || bits.left(scan.end(piece)) < 8;
}

bool BaselineRows::restart() {
  if (bits.left(scan.end(piece)) >= 8) return false;
  piece++;
  bits.start(scan.begin(piece));
  untilRestart = frame.restartInterval - 1;
  std::fill_n(previous, 3, 0);
  return true;
}

template <bool isWanted>
bool BaselineRows::readBlock(int channel, std::uint8_t *samples, std::size_t stride) {
  alignas(32) std::int16_t block[64];
  if (isWanted) std::fill_n(block, 64, std::int16_t{0});
  const std::uint16_t *const steps = frame.components[channel].steps;
  // What is only here is kept in registers.
  BitReader reader = bits;
  reader.fill();
  CodeReader::Step step = dc[channel].look(reader);
  int difference = step.value;
  if (step.kind == CodeReader::SYMBOL) {
    const int size = dc[channel].take(reader, step);
    if (size < 0) return false;
    difference = size == 0 ? 0 : CodeReader::takeNumber(reader, size);
  } else {
    reader.skip(step.bits);
  }
  const int mean = previous[channel] += difference;
  if (std::abs(mean) > MOST_DC) return false;
  int sum = std::abs(mean) * steps[0];
  if (isWanted) block[0] = static_cast<std::int16_t>(mean * steps[0]);
  const CodeReader &codes = ac[channel];
  for (int place = 1; place < 64; place++) {
    if (reader.available() < 32) reader.fill();
    step = codes.look(reader);
    int value = step.value;
    if (step.kind == CodeReader::SYMBOL) {
      const int symbol = codes.take(reader, step);
      if (symbol == END_OF_BLOCK) break;
      const int size = symbol & 15;
      // Sixteen zeros, the first of which is counted by the loop; all others without a number mean nothing.
      if (symbol < 0 || (size == 0 && symbol != SIXTEEN_ZEROS)) return false;
      place += symbol >> 4;
      if (size == 0) {
        if (place > 62) return false;
        continue;
      }
      value = CodeReader::takeNumber(reader, size);
    } else {
      reader.skip(step.bits);
      place += step.kind;
    }
    if (place > 63) return false;
    if (isWanted) {
      value *= steps[place];
      sum += std::abs(value);
      block[ZIGZAG[place]] = static_cast<std::int16_t>(value);
    }
  }
  bits = reader;
  if (bits.left(scan.end(piece)) < 0) return false;
  if (!isWanted) return true;
  if (!isWithinBounds(block, sum)) return false;
  math.transform(block, samples, stride);
  return true;
}

void BaselineRows::write(int y, const Part &wanted, std::uint8_t *result) {
  const int left = wanted.left, count = wanted.right - wanted.left;
  const std::uint8_t *const luma = planes[0].row(y) + left;
  if (frame.channels == 1) {
    std::copy_n(luma, count, result + left);
    return;
  }
  const std::uint8_t *const blue = widened(1, y, left, wanted.right);
  const std::uint8_t *const red = widened(2, y, left, wanted.right);
  math.colour(luma, blue, red, count, result + 3 * left);
}

/** @returns the samples of colour from the pixel `left` on */
const std::uint8_t *BaselineRows::widened(int channel, int y, int left, int right) {
  Plane &plane = planes[channel];
  if (frame.across == 1) return plane.row(y) + left;
  const int from = left / 2, to = std::min(plane.width, (right + 1) / 2);
  const auto sealed = [&](int row) {
    std::uint8_t *const samples = plane.row(row);
    samples[-1] = samples[0];
    samples[plane.width] = samples[plane.width - 1];
    return samples + from;
  };
  std::uint8_t *const result = wide[channel - 1].data() + SAMPLE_MARGIN;
  if (frame.down == 1) {
    math.widen(sealed(y), to - from, result);
  } else {
    const int near = y / 2;
    const int far = std::clamp(y % 2 == 0 ? near - 1 : near + 1, 0, plane.height - 1);
    math.widenTwo(sealed(near), sealed(far), to - from, result);
  }
  return result + (left - 2 * from);
}
