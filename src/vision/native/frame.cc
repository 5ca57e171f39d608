#include "frame.h"

#include <cstring>
#include <numeric>

namespace {

enum Marker : std::uint8_t {
  BASELINE = 0xc0,
  HUFFMAN_TABLES = 0xc4,
  START_OF_IMAGE = 0xd8,
  START_OF_SCAN = 0xda,
  STEPS = 0xdb,
  RESTART_INTERVAL = 0xdd,
  APP0 = 0xe0,
  APP1 = 0xe1,
  APP2 = 0xe2,
  APP14 = 0xee,
  APP15 = 0xef,
  COMMENT = 0xfe,
};

/** The part of a segment behind its length. */
struct Segment {
  const std::uint8_t *at;
  std::size_t left;

  bool begins(const char *text, std::size_t size) const { return left >= size && std::memcmp(at, text, size) == 0; }
  void skip(std::size_t count) {
    at += count;
    left -= count;
  }
};

int word(const std::uint8_t *at) { return at[0] << 8 | at[1]; }

class Reader {
 public:
  explicit Reader(Frame *frame) : frame(*frame) {}

  bool readAll(const std::uint8_t *bytes, std::size_t length) {
    if (length < 4 || bytes[0] != 0xff || bytes[1] != START_OF_IMAGE) return false;
    std::size_t at = 2;
    while (at + 4 <= length) {
      const std::uint8_t marker = bytes[at + 1];
      const std::size_t size = word(bytes + at + 2);
      if (bytes[at] != 0xff || size < 2 || size > length - at - 2) return false;
      const Segment segment = {bytes + at + 4, size - 2};
      at += 2 + size;
      if (marker == START_OF_SCAN) {
        frame.scan = at;
        return readScan(segment);
      }
      if (!read(marker, segment)) return false;
    }
    return false;
  }

 private:
  bool read(std::uint8_t marker, const Segment &segment) {
    switch (marker) {
      case BASELINE:
        return readSize(segment);
      case HUFFMAN_TABLES:
        return readCodes(segment);
      case STEPS:
        return readSteps(segment);
      case RESTART_INTERVAL:
        frame.restartInterval = segment.left == 2 ? word(segment.at) : 0;
        return segment.left == 2;
      case APP0:
        // libjpeg warns of other versions.
        return !segment.begins("JFIF\0", 5) || (segment.left >= 14 && segment.at[5] == 1);
      case APP1:
        frame.hasExif = frame.hasExif || segment.begins("Exif", 4);
        return true;
      case APP2:
        return !segment.begins("ICC_PROFILE", 11);
      case APP14:
        return !segment.begins("Adobe", 5) || (segment.left >= 12 && segment.at[11] == 1);
      default:
        return (marker > APP0 && marker <= APP15) || marker == COMMENT;
    }
  }

  bool readSize(const Segment &segment) {
    if (frame.channels != 0 || segment.left < 6 || segment.at[0] != 8) return false;
    frame.height = word(segment.at + 1);
    frame.width = word(segment.at + 3);
    const int channels = segment.at[5];
    if (frame.width == 0 || frame.height == 0 || (channels != 1 && channels != 3)) return false;
    if (segment.left != 6 + 3 * static_cast<std::size_t>(channels)) return false;
    for (int i = 0; i < channels; i++) {
      const std::uint8_t *const component = segment.at + 6 + 3 * i;
      // Other numbers may stand for other colours.
      if (component[0] != i + 1 || component[2] >= Frame::TABLES) return false;
      stepTables[i] = component[2];
      const int across = component[1] >> 4, down = component[1] & 15;
      if (channels == 1) {
        // Alone in its scan it has no groups of blocks.
        if (across < 1 || across > 4 || down < 1 || down > 4) return false;
      } else if (i == 0) {
        frame.across = across;
        frame.down = down;
        if (component[1] != 0x11 && component[1] != 0x21 && component[1] != 0x22) return false;
      } else if (component[1] != 0x11) {
        return false;
      }
    }
    frame.channels = channels;
    return true;
  }

  bool readSteps(Segment segment) {
    while (segment.left > 0) {
      const int table = segment.at[0];
      // Steps of 16 bits are not baseline.
      if (table >= Frame::TABLES || segment.left < 65) return false;
      for (int i = 0; i < 64; i++) steps[table][i] = segment.at[1 + i];
      hasSteps[table] = true;
      segment.skip(65);
    }
    return true;
  }

  bool readCodes(Segment segment) {
    while (segment.left > 0) {
      if (segment.left < 17) return false;
      const int kind = segment.at[0] >> 4, table = segment.at[0] & 15;
      const std::uint8_t *const counts = segment.at + 1;
      const std::size_t symbols = std::accumulate(counts, counts + 16, std::size_t{0});
      if (kind > 1 || table >= Frame::TABLES || symbols > 256 || segment.left - 17 < symbols) return false;
      CodeTable &codes = (kind == 0 ? frame.dc : frame.ac)[table];
      std::memcpy(codes.counts, counts, 16);
      codes.symbols.assign(counts + 16, counts + 16 + symbols);
      segment.skip(17 + symbols);
    }
    return true;
  }

  bool readScan(const Segment &segment) {
    const std::size_t channels = frame.channels;
    if (channels == 0 || segment.left != 4 + 2 * channels || segment.at[0] != channels) return false;
    for (std::size_t i = 0; i < channels; i++) {
      const std::uint8_t *const component = segment.at + 1 + 2 * i;
      const int dc = component[1] >> 4, ac = component[1] & 15;
      if (component[0] != i + 1 || dc >= Frame::TABLES || ac >= Frame::TABLES || !hasSteps[stepTables[i]]) return false;
      if (frame.dc[dc].symbols.empty() || frame.ac[ac].symbols.empty()) return false;
      frame.components[i].dcTable = dc;
      frame.components[i].acTable = ac;
      std::memcpy(frame.components[i].steps, steps[stepTables[i]], sizeof steps[0]);
    }
    // All coefficients, with all their bits.
    const std::uint8_t *const range = segment.at + 1 + 2 * channels;
    return range[0] == 0 && range[1] == 63 && range[2] == 0;
  }

  Frame &frame;
  std::uint16_t steps[Frame::TABLES][64];
  bool hasSteps[Frame::TABLES] = {};
  int stepTables[3] = {};
};

}  // namespace

bool readFrame(const std::uint8_t *bytes, std::size_t length, Frame *frame) {
  return Reader(frame).readAll(bytes, length);
}
