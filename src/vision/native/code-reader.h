#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "frame.h"
#include "scan-bits.h"

/** What the codes of a file stand for, for those that are met with often by a look at the bits that come next. */
class CodeReader {
 public:
  /** What the next bits are. */
  struct Step {
    /** The number; or, where `kind` is SYMBOL, what it is and how many bits it has. */
    std::int16_t value;
    /** Zeros before it, or SYMBOL: its bits reach beyond what was looked at, or there is no number. */
    std::uint8_t kind;
    /** Bits of the code, and of the number unless it is a SYMBOL; 0: the code is longer than what was looked at. */
    std::uint8_t bits;
  };

  /** Bits that are looked at. */
  static constexpr int LOOK = 11;
  static constexpr std::uint8_t SYMBOL = 255;

  /** @returns false when these are no codes, or have a symbol above `highest` */
  bool build(const CodeTable &table, int highest);

  const Step &look(const BitReader &bits) const { return steps[bits.peek(LOOK)]; }

  /**
   * Takes a code for which `look` had a SYMBOL.
   *
   * @returns the symbol, or -1 where there is no such code; 16 bits must be there
   */
  int take(BitReader &bits, const Step &step) const {
    const Code code = step.bits == 0 ? findLong(bits.peek(16)) : Code{step.value, step.bits};
    bits.skip(code.bits);
    return code.symbol;
  }

  /** Takes a number of `size` bits (T.81, F.2.2.1): 1 to 16, which must be there. */
  static int takeNumber(BitReader &bits, int size) {
    const int number = static_cast<int>(bits.peek(size));
    bits.skip(size);
    return toSigned(number, size);
  }

 private:
  struct Code {
    int symbol, bits;
  };

  static int toSigned(int number, int size) { return number < 1 << (size - 1) ? number - (1 << size) + 1 : number; }
  Code findLong(std::uint32_t next) const;
  void note(int code, int length, std::uint8_t symbol);

  std::vector<std::uint8_t> symbols;
  /** By length: what codes with so many bits are less than, with 16 bits; and what their place is more than they. */
  std::array<int, 17> limits = {}, offsets = {};
  std::vector<Step> steps;
};
