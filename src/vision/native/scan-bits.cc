#include "scan-bits.h"

namespace {

constexpr std::uint8_t FIRST_RESTART = 0xd0;
constexpr std::uint8_t END_OF_IMAGE = 0xd9;

}  // namespace

bool ScanBits::open(const std::uint8_t *bytes, std::size_t length) {
  clean.resize(length + PADDING);
  std::uint8_t *to = clean.data();
  const std::uint8_t *const end = bytes + length;
  ends.clear();
  while (bytes < end) {
    const auto *const found = static_cast<const std::uint8_t *>(std::memchr(bytes, 0xff, end - bytes));
    if (found == nullptr || found + 1 == end) return false;
    // The 0xff, too, where it is none of a marker.
    const std::uint8_t marker = found[1];
    const std::size_t size = found - bytes + (marker == 0 ? 1 : 0);
    std::memcpy(to, bytes, size);
    to += size;
    bytes = found + 2;
    if (marker == 0) continue;
    const bool isRestart = marker == FIRST_RESTART + ends.size() % 8;
    ends.push_back(to - clean.data());
    if (marker == END_OF_IMAGE) {
      std::memset(to, 0, PADDING);
      return true;
    }
    if (!isRestart) return false;
  }
  return false;
}
