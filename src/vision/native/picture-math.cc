#include "picture-math.h"

#include <algorithm>
#include <cstring>

#include "weighing.h"

// As in weighing.cc: single functions for more than the processor that the rest is compiled for.
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define X86_VARIANTS
#include <immintrin.h>
#endif

namespace {

std::uint8_t toByte(int value) { return static_cast<std::uint8_t>(std::clamp(value, 0, 255)); }

/** Parts of 2^13, as in jidctint.c, of which FIX_a_b is a.b. */
constexpr int BITS = 13;
constexpr int FIX_0_298631336 = 2446, FIX_0_390180644 = 3196, FIX_0_541196100 = 4433, FIX_0_765366865 = 6270,
              FIX_0_899976223 = 7373, FIX_1_175875602 = 9633, FIX_1_501321110 = 12299, FIX_1_847759065 = 15137,
              FIX_1_961570560 = 16069, FIX_2_053119869 = 16819, FIX_2_562915447 = 20995, FIX_3_072711026 = 25172;

/** The columns are left with two more bits than they had, and the rows take them, and three more, away. */
constexpr int AFTER_COLUMNS = BITS - 2, AFTER_ROWS = BITS + 2 + 3;

/** Each number of the even or odd half as a sum of products with the four that it is made of. */
constexpr int EVEN_2[2] = {FIX_0_541196100, FIX_0_541196100 - FIX_1_847759065};
constexpr int EVEN_3[2] = {FIX_0_541196100 + FIX_0_765366865, FIX_0_541196100};
/** Of 7, 5, 3 and 1. */
constexpr int ODD[4][4] = {
    {FIX_0_298631336 - FIX_0_899976223 - FIX_1_961570560 + FIX_1_175875602, FIX_1_175875602,
     FIX_1_175875602 - FIX_1_961570560, FIX_1_175875602 - FIX_0_899976223},
    {FIX_1_175875602, FIX_2_053119869 - FIX_2_562915447 - FIX_0_390180644 + FIX_1_175875602,
     FIX_1_175875602 - FIX_2_562915447, FIX_1_175875602 - FIX_0_390180644},
    {FIX_1_175875602 - FIX_1_961570560, FIX_1_175875602 - FIX_2_562915447,
     FIX_3_072711026 - FIX_2_562915447 - FIX_1_961570560 + FIX_1_175875602, FIX_1_175875602},
    {FIX_1_175875602 - FIX_0_899976223, FIX_1_175875602 - FIX_0_390180644, FIX_1_175875602,
     FIX_1_501321110 - FIX_0_899976223 - FIX_0_390180644 + FIX_1_175875602},
};

/** Eight numbers, `step` apart, to eight that are as far apart. */
template <int Shift>
void transformLine(std::int32_t *line, int step) {
  const auto in = [&](int i) { return line[i * step]; };
  const int tmp0 = (in(0) + in(4)) * (1 << BITS), tmp1 = (in(0) - in(4)) * (1 << BITS);
  const int tmp2 = in(2) * EVEN_2[0] + in(6) * EVEN_2[1], tmp3 = in(2) * EVEN_3[0] + in(6) * EVEN_3[1];
  const int even[4] = {tmp0 + tmp3, tmp1 + tmp2, tmp1 - tmp2, tmp0 - tmp3};
  int odd[4];
  for (int i = 0; i < 4; i++) odd[i] = in(7) * ODD[i][0] + in(5) * ODD[i][1] + in(3) * ODD[i][2] + in(1) * ODD[i][3];
  constexpr int HALF = 1 << (Shift - 1);
  for (int i = 0; i < 4; i++) {
    line[i * step] = (even[i] + odd[3 - i] + HALF) >> Shift;
    line[(7 - i) * step] = (even[i] - odd[3 - i] + HALF) >> Shift;
  }
}

void transformBaseline(const std::int16_t *block, std::uint8_t *samples, std::size_t stride) {
  std::int32_t numbers[64];
  std::copy_n(block, 64, numbers);
  for (int column = 0; column < 8; column++) transformLine<AFTER_COLUMNS>(numbers + column, 8);
  for (int row = 0; row < 8; row++) {
    transformLine<AFTER_ROWS>(numbers + 8 * row, 1);
    for (int i = 0; i < 8; i++) samples[row * stride + i] = toByte(numbers[8 * row + i] + 128);
  }
}

void widenFrom(int first, const std::uint8_t *samples, int count, std::uint8_t *result) {
  for (int i = first; i < count; i++) {
    const int three = 3 * samples[i];
    result[2 * i] = static_cast<std::uint8_t>((three + samples[i - 1] + 1) >> 2);
    result[2 * i + 1] = static_cast<std::uint8_t>((three + samples[i + 1] + 2) >> 2);
  }
}

void widenTwoFrom(int first, const std::uint8_t *near, const std::uint8_t *far, int count, std::uint8_t *result) {
  const auto sum = [&](int i) { return 3 * near[i] + far[i]; };
  for (int i = first; i < count; i++) {
    const int three = 3 * sum(i);
    result[2 * i] = static_cast<std::uint8_t>((three + sum(i - 1) + 8) >> 4);
    result[2 * i + 1] = static_cast<std::uint8_t>((three + sum(i + 1) + 7) >> 4);
  }
}

/** Parts of 2^16, as in jdcolor.c; more than half is taken as one less than a whole. */
constexpr int RED_OF_RED = 91881 - 65536, BLUE_OF_BLUE = 116130 - 2 * 65536, GREEN_OF_BLUE = -22554,
              GREEN_OF_RED = 65536 - 46802;

void colourFrom(int first, const std::uint8_t *luma, const std::uint8_t *blue, const std::uint8_t *red, int count,
                std::uint8_t *rgb) {
  constexpr int HALF = 1 << 15;
  for (int i = first; i < count; i++) {
    const int y = luma[i], cb = blue[i] - 128, cr = red[i] - 128;
    rgb[3 * i] = toByte(y + cr + ((RED_OF_RED * cr + HALF) >> 16));
    rgb[3 * i + 1] = toByte(y - cr + ((GREEN_OF_BLUE * cb + GREEN_OF_RED * cr + HALF) >> 16));
    rgb[3 * i + 2] = toByte(y + 2 * cb + ((BLUE_OF_BLUE * cb + HALF) >> 16));
  }
}

void widenBaseline(const std::uint8_t *samples, int count, std::uint8_t *result) {
  widenFrom(0, samples, count, result);
}

void widenTwoBaseline(const std::uint8_t *near, const std::uint8_t *far, int count, std::uint8_t *result) {
  widenTwoFrom(0, near, far, count, result);
}

void colourBaseline(const std::uint8_t *luma, const std::uint8_t *blue, const std::uint8_t *red, int count,
                    std::uint8_t *rgb) {
  colourFrom(0, luma, blue, red, count, rgb);
}

constexpr PictureMath BASELINE = {transformBaseline, widenBaseline, widenTwoBaseline, colourBaseline};

#ifdef X86_VARIANTS
#define AVX2 __attribute__((target("avx2")))

AVX2 inline __m256i factors(int first, int second) {
  return _mm256_set1_epi32((static_cast<int>(static_cast<unsigned>(second) << 16)) | (first & 0xffff));
}

/** Neighbours side by side, eight of either. */
AVX2 inline __m256i pair(__m128i first, __m128i second) {
  return _mm256_set_m128i(_mm_unpackhi_epi16(first, second), _mm_unpacklo_epi16(first, second));
}

/** Eight columns at once: the numbers of a row stand side by side. */
template <int Shift>
AVX2 inline void transformLines(__m128i *rows) {
  const __m256i half = _mm256_set1_epi32(1 << (Shift - 1));
  const __m256i ends = pair(rows[0], rows[4]), inner = pair(rows[2], rows[6]);
  const __m256i tmp0 = _mm256_add_epi32(_mm256_madd_epi16(ends, factors(1 << BITS, 1 << BITS)), half);
  const __m256i tmp1 = _mm256_add_epi32(_mm256_madd_epi16(ends, factors(1 << BITS, -(1 << BITS))), half);
  const __m256i tmp2 = _mm256_madd_epi16(inner, factors(EVEN_2[0], EVEN_2[1]));
  const __m256i tmp3 = _mm256_madd_epi16(inner, factors(EVEN_3[0], EVEN_3[1]));
  const __m256i even[4] = {_mm256_add_epi32(tmp0, tmp3), _mm256_add_epi32(tmp1, tmp2), _mm256_sub_epi32(tmp1, tmp2),
                           _mm256_sub_epi32(tmp0, tmp3)};
  const __m256i high = pair(rows[7], rows[5]), low = pair(rows[3], rows[1]);
  for (int i = 0; i < 4; i++) {
    const int *const weights = ODD[3 - i];
    const __m256i odd = _mm256_add_epi32(_mm256_madd_epi16(high, factors(weights[0], weights[1])),
                                         _mm256_madd_epi16(low, factors(weights[2], weights[3])));
    const __m256i sum = _mm256_srai_epi32(_mm256_add_epi32(even[i], odd), Shift);
    const __m256i difference = _mm256_srai_epi32(_mm256_sub_epi32(even[i], odd), Shift);
    // Packing goes by halves: sum, difference, sum, difference, to be put in order.
    const __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi32(sum, difference), 0xd8);
    rows[i] = _mm256_castsi256_si128(both);
    rows[7 - i] = _mm256_extracti128_si256(both, 1);
  }
}

AVX2 inline void transpose(__m128i *rows) {
  __m128i a[8], b[8];
  for (int i = 0; i < 4; i++) {
    a[2 * i] = _mm_unpacklo_epi16(rows[2 * i], rows[2 * i + 1]);
    a[2 * i + 1] = _mm_unpackhi_epi16(rows[2 * i], rows[2 * i + 1]);
  }
  for (int i = 0; i < 2; i++) {
    for (int j = 0; j < 2; j++) {
      b[4 * i + 2 * j] = _mm_unpacklo_epi32(a[4 * i + j], a[4 * i + 2 + j]);
      b[4 * i + 2 * j + 1] = _mm_unpackhi_epi32(a[4 * i + j], a[4 * i + 2 + j]);
    }
  }
  for (int i = 0; i < 4; i++) {
    rows[2 * i] = _mm_unpacklo_epi64(b[i], b[4 + i]);
    rows[2 * i + 1] = _mm_unpackhi_epi64(b[i], b[4 + i]);
  }
}

AVX2 void transformAvx2(const std::int16_t *block, std::uint8_t *samples, std::size_t stride) {
  __m128i rows[8];
  for (int i = 0; i < 8; i++) rows[i] = _mm_loadu_si128(reinterpret_cast<const __m128i *>(block) + i);
  transformLines<AFTER_COLUMNS>(rows);
  transpose(rows);
  transformLines<AFTER_ROWS>(rows);
  transpose(rows);
  for (int i = 0; i < 8; i += 2) {
    // Within -128 and 127, and 128 added by turning the highest bit.
    const __m128i two = _mm_xor_si128(_mm_packs_epi16(rows[i], rows[i + 1]), _mm_set1_epi8(-128));
    _mm_storel_epi64(reinterpret_cast<__m128i *>(samples + i * stride), two);
    _mm_storel_epi64(reinterpret_cast<__m128i *>(samples + (i + 1) * stride), _mm_unpackhi_epi64(two, two));
  }
}

/** Sixteen bytes as numbers of 16 bits. */
AVX2 inline __m256i loadSixteen(const std::uint8_t *samples) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(samples)));
}

AVX2 inline __m256i threeTimes(__m256i numbers) { return _mm256_add_epi16(numbers, _mm256_add_epi16(numbers, numbers)); }

/** Numbers below 256, left and right ones in turn. */
AVX2 inline void storeInTurn(__m256i left, __m256i right, std::uint8_t *result) {
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(result), _mm256_or_si256(left, _mm256_slli_epi16(right, 8)));
}

AVX2 void widenAvx2(const std::uint8_t *samples, int count, std::uint8_t *result) {
  int i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i three = threeTimes(loadSixteen(samples + i));
    const __m256i before = _mm256_add_epi16(loadSixteen(samples + i - 1), _mm256_set1_epi16(1));
    const __m256i behind = _mm256_add_epi16(loadSixteen(samples + i + 1), _mm256_set1_epi16(2));
    storeInTurn(_mm256_srli_epi16(_mm256_add_epi16(three, before), 2),
                _mm256_srli_epi16(_mm256_add_epi16(three, behind), 2), result + 2 * i);
  }
  widenFrom(i, samples, count, result);
}

AVX2 void widenTwoAvx2(const std::uint8_t *near, const std::uint8_t *far, int count, std::uint8_t *result) {
  const auto sum = [&](int i) AVX2 { return _mm256_add_epi16(threeTimes(loadSixteen(near + i)), loadSixteen(far + i)); };
  int i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i three = threeTimes(sum(i));
    const __m256i before = _mm256_add_epi16(sum(i - 1), _mm256_set1_epi16(8));
    const __m256i behind = _mm256_add_epi16(sum(i + 1), _mm256_set1_epi16(7));
    storeInTurn(_mm256_srli_epi16(_mm256_add_epi16(three, before), 4),
                _mm256_srli_epi16(_mm256_add_epi16(three, behind), 4), result + 2 * i);
  }
  widenTwoFrom(i, near, far, count, result);
}

/** The whole numbers in sums of pairs' products, sixteen of them, rounded. */
AVX2 inline __m256i wholes(__m256i first, __m256i second, __m256i weights) {
  const __m256i half = _mm256_set1_epi32(1 << 15);
  const __m256i low = _mm256_madd_epi16(_mm256_unpacklo_epi16(first, second), weights);
  const __m256i high = _mm256_madd_epi16(_mm256_unpackhi_epi16(first, second), weights);
  return _mm256_packs_epi32(_mm256_srai_epi32(_mm256_add_epi32(low, half), 16),
                            _mm256_srai_epi32(_mm256_add_epi32(high, half), 16));
}

AVX2 inline __m128i toBytes(__m256i numbers) {
  return _mm_packus_epi16(_mm256_castsi256_si128(numbers), _mm256_extracti128_si256(numbers, 1));
}

AVX2 void colourAvx2(const std::uint8_t *luma, const std::uint8_t *blue, const std::uint8_t *red, int count,
                     std::uint8_t *rgb) {
  const __m256i middle = _mm256_set1_epi16(128), none = _mm256_setzero_si256();
  // Where the bytes of red, green and blue go in each of three parts of sixteen pixels.
  const __m128i places[3][3] = {
      {_mm_setr_epi8(0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1, 5),
       _mm_setr_epi8(-1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1),
       _mm_setr_epi8(-1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1)},
      {_mm_setr_epi8(-1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10, -1),
       _mm_setr_epi8(5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10),
       _mm_setr_epi8(-1, 5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1)},
      {_mm_setr_epi8(-1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1, -1),
       _mm_setr_epi8(-1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1),
       _mm_setr_epi8(10, -1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15)}};
  int i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i y = loadSixteen(luma + i);
    const __m256i cb = _mm256_sub_epi16(loadSixteen(blue + i), middle);
    const __m256i cr = _mm256_sub_epi16(loadSixteen(red + i), middle);
    const __m128i r = toBytes(_mm256_add_epi16(_mm256_add_epi16(y, cr), wholes(cr, none, factors(RED_OF_RED, 0))));
    const __m128i g = toBytes(_mm256_add_epi16(_mm256_sub_epi16(y, cr), wholes(cb, cr, factors(GREEN_OF_BLUE, GREEN_OF_RED))));
    const __m128i b = toBytes(_mm256_add_epi16(_mm256_add_epi16(y, _mm256_add_epi16(cb, cb)),
                                               wholes(cb, none, factors(BLUE_OF_BLUE, 0))));
    for (int part = 0; part < 3; part++) {
      const __m128i bytes = _mm_or_si128(
          _mm_or_si128(_mm_shuffle_epi8(r, places[part][0]), _mm_shuffle_epi8(g, places[part][1])),
          _mm_shuffle_epi8(b, places[part][2]));
      _mm_storeu_si128(reinterpret_cast<__m128i *>(rgb + 3 * i) + part, bytes);
    }
  }
  colourFrom(i, luma, blue, red, count, rgb);
}

constexpr PictureMath WITH_AVX2 = {transformAvx2, widenAvx2, widenTwoAvx2, colourAvx2};
#endif

}  // namespace

const PictureMath *findPictureMath(const std::string &instructions) {
  const std::vector<std::string> supported = supportedWeighings();
  if (std::find(supported.begin(), supported.end(), instructions) == supported.end()) return nullptr;
#ifdef X86_VARIANTS
  if (instructions == "avx2") return &WITH_AVX2;
#endif
  return &BASELINE;
}
