#include "code-reader.h"

bool CodeReader::build(const CodeTable &table, int highest) {
  for (const std::uint8_t symbol : table.symbols) {
    if (symbol > highest) return false;
  }
  symbols = table.symbols;
  steps.assign(std::size_t{1} << LOOK, Step{0, SYMBOL, 0});
  int code = 0, place = 0;
  for (int length = 1; length <= 16; length++, code <<= 1) {
    const int count = table.counts[length - 1];
    // The code of all ones is reserved, so it does not come up.
    if (code + count > (1 << length) - 1 + (count == 0)) return false;
    offsets[length] = place - code;
    for (int i = 0; i < count; i++, code++, place++) {
      if (length <= LOOK) note(code, length, symbols[place]);
    }
    limits[length] = code << (16 - length);
  }
  return true;
}

void CodeReader::note(int code, int length, std::uint8_t symbol) {
  const int zeros = symbol >> 4, size = symbol & 15;
  const int behind = LOOK - length;
  Step *const first = steps.data() + (static_cast<std::size_t>(code) << behind);
  for (int rest = 0; rest < 1 << behind; rest++) {
    if (size == 0 || size > behind) {
      first[rest] = {symbol, SYMBOL, static_cast<std::uint8_t>(length)};
    } else {
      const int value = toSigned(rest >> (behind - size), size);
      first[rest] = {static_cast<std::int16_t>(value), static_cast<std::uint8_t>(zeros),
                     static_cast<std::uint8_t>(length + size)};
    }
  }
}

/** @param next the next 16 bits */
CodeReader::Code CodeReader::findLong(std::uint32_t next) const {
  for (int length = LOOK + 1; length <= 16; length++) {
    if (static_cast<int>(next) >= limits[length]) continue;
    return {symbols[offsets[length] + static_cast<int>(next >> (16 - length))], length};
  }
  return {-1, 0};
}
