#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

/** The codes of a scan without the zeros that are stuffed in behind 0xff, cut up at the restarts. */
class ScanBits {
 public:
  /** No block has more bytes than this, so a reader that looks after each block whether it went too far stays within. */
  static constexpr std::size_t PADDING = 512;

  /** @returns false unless the scan goes up to the end of the image, and restarts are numbered as they should be */
  bool open(const std::uint8_t *bytes, std::size_t length);

  std::size_t restarts() const { return ends.size() - 1; }
  const std::uint8_t *begin(std::size_t piece) const { return clean.data() + (piece == 0 ? 0 : ends[piece - 1]); }
  const std::uint8_t *end(std::size_t piece) const { return clean.data() + ends[piece]; }

 private:
  std::vector<std::uint8_t> clean;
  std::vector<std::size_t> ends;
};

/** Reads bits, the first of a byte being its highest. */
class BitReader {
 public:
  void start(const std::uint8_t *from) {
    next = from;
    bits = 0;
    count = 0;
  }

  /** At least 56 bits are there afterwards. */
  void fill() {
    bits |= loadEight(next) >> count;
    next += (63 - count) >> 3;
    count |= 56;
  }

  int available() const { return count; }
  /** The next bits, `size` of them: 1 to 32. */
  std::uint32_t peek(int size) const { return static_cast<std::uint32_t>(bits >> (64 - size)); }
  void skip(int size) {
    bits <<= size;
    count -= size;
  }

  /** Bits from here to there; negative when it was gone past. */
  std::ptrdiff_t left(const std::uint8_t *end) const { return (end - next) * 8 + count; }

 private:
  static std::uint64_t loadEight(const std::uint8_t *at) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    std::uint64_t value;
    std::memcpy(&value, at, 8);
    return __builtin_bswap64(value);
#else
    std::uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | at[i];
    return value;
#endif
  }

  const std::uint8_t *next = nullptr;
  /** The highest come first. */
  std::uint64_t bits = 0;
  int count = 0;
};
