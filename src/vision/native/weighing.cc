#include "weighing.h"

#include <algorithm>
#include <cstring>

// As in the addon for vectors: single functions for more than the processor that the rest is compiled for.
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define X86_VARIANTS
#include <immintrin.h>
#endif

namespace {

constexpr std::int32_t HALF = 1 << (Axis::FRACTION_BITS - 1);

std::uint8_t toByte(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> Axis::FRACTION_BITS, 0, 255));
}

template <int Rows>
void acrossBaseline(const std::uint8_t *const *rows, const Axis &axis, std::uint8_t *const *results) {
  for (int i = 0; i < axis.length(); i++) {
    const Axis::Taps taps = axis.taps(i);
    for (int row = 0; row < Rows; row++) {
      const std::uint8_t *pixel = rows[row] + std::size_t{3} * taps.first;
      std::int32_t red = HALF, green = HALF, blue = HALF;
      for (int tap = 0; tap < taps.count; tap++, pixel += 3) {
        const std::int32_t weight = taps.weight(tap);
        red += weight * pixel[0];
        green += weight * pixel[1];
        blue += weight * pixel[2];
      }
      std::uint8_t *const result = results[row] + std::size_t{3} * i;
      result[0] = toByte(red);
      result[1] = toByte(green);
      result[2] = toByte(blue);
    }
  }
}

void downBaseline(const std::uint8_t *const *rows, const Axis::Taps &taps, std::size_t length, std::uint8_t *result) {
  constexpr std::size_t BLOCK = 64;
  for (std::size_t at = 0; at < length; at += BLOCK) {
    const std::size_t size = std::min(BLOCK, length - at);
    std::int32_t sums[BLOCK];
    std::fill_n(sums, size, HALF);
    for (int tap = 0; tap < taps.count; tap++) {
      const std::int32_t weight = taps.weight(tap);
      const std::uint8_t *row = rows[tap] + at;
      for (std::size_t i = 0; i < size; i++) sums[i] += weight * row[i];
    }
    for (std::size_t i = 0; i < size; i++) result[at + i] = toByte(sums[i]);
  }
}

constexpr Weighing BASELINE = {acrossBaseline<1>, acrossBaseline<ROWS_TOGETHER>, downBaseline};

#ifdef X86_VARIANTS
#define AVX2 __attribute__((target("avx2")))

/** Sums of products with both parts of the weights; what overflows in one of them falls away in the end. */
AVX2 inline __m256i combine(__m256i high, __m256i low) {
  return _mm256_add_epi32(_mm256_slli_epi32(high, Axis::LOW_BITS), low);
}

/** Sixteen bytes, in both halves. */
AVX2 inline __m256i loadTwice(const void *bytes) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i *>(bytes)));
}

template <int Rows>
AVX2 void acrossAvx2(const std::uint8_t *const *rows, const Axis &axis, std::uint8_t *const *results) {
  // Four pixels become pairs of neighbours by channel, 16 bits each: R0 R1 G0 G1 B0 B1 - -, R2 R3 G2 G3 B2 B3 - -.
  const __m256i pairs = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,  //
                                         6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  // Eight numbers are the high parts of four weights and their low parts; each half takes its two.
  const __m256i highParts = _mm256_setr_epi8(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,  //
                                             4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
  const __m256i lowParts = _mm256_add_epi8(highParts, _mm256_set1_epi8(8));
  const __m128i half = _mm_set1_epi32(HALF);
  for (int i = 0; i < axis.length(); i++) {
    const Axis::Taps taps = axis.taps(i);
    const std::int16_t *weights = taps.weights;
    std::size_t at = std::size_t{3} * taps.first;
    __m256i high[Rows], low[Rows];
    for (int row = 0; row < Rows; row++) high[row] = low[row] = _mm256_setzero_si256();
    for (int group = 0; group < taps.groups; group++, at += 3 * Axis::GROUP, weights += 2 * Axis::GROUP) {
      const __m256i both = loadTwice(weights);
      const __m256i highWeights = _mm256_shuffle_epi8(both, highParts);
      const __m256i lowWeights = _mm256_shuffle_epi8(both, lowParts);
      for (int row = 0; row < Rows; row++) {
        const __m256i four = _mm256_shuffle_epi8(loadTwice(rows[row] + at), pairs);
        high[row] = _mm256_add_epi32(high[row], _mm256_madd_epi16(four, highWeights));
        low[row] = _mm256_add_epi32(low[row], _mm256_madd_epi16(four, lowWeights));
      }
    }
    for (int row = 0; row < Rows; row++) {
      const __m256i sums = combine(high[row], low[row]);
      const __m128i rgb = _mm_srai_epi32(
          _mm_add_epi32(_mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1)), half),
          Axis::FRACTION_BITS);
      const __m128i shorts = _mm_packs_epi32(rgb, rgb);
      const int bytes = _mm_cvtsi128_si32(_mm_packus_epi16(shorts, shorts));
      std::memcpy(results[row] + std::size_t{3} * i, &bytes, 4);
    }
  }
}

/** Sixteen bytes of a row. */
AVX2 inline __m128i downSixteen(const std::uint8_t *const *rows, const Axis::Taps &taps, std::size_t at) {
  const __m256i half = _mm256_set1_epi32(HALF);
  __m256i highA = _mm256_setzero_si256(), highB = highA, lowA = half, lowB = half;
  for (int tap = 0; tap < taps.count; tap += 2) {
    const std::int16_t *weights = taps.weights + tap / Axis::GROUP * 2 * Axis::GROUP + tap % Axis::GROUP;
    std::int32_t highPair, lowPair;
    std::memcpy(&highPair, weights, 4);
    std::memcpy(&lowPair, weights + Axis::GROUP, 4);
    const __m256i high = _mm256_set1_epi32(highPair), low = _mm256_set1_epi32(lowPair);
    // The weight of a row beyond the last is zero.
    const std::uint8_t *const second = rows[tap + 1 < taps.count ? tap + 1 : tap];
    const __m128i one = _mm_loadu_si128(reinterpret_cast<const __m128i *>(rows[tap] + at));
    const __m128i two = _mm_loadu_si128(reinterpret_cast<const __m128i *>(second + at));
    const __m256i a = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(one, two));
    const __m256i b = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(one, two));
    highA = _mm256_add_epi32(highA, _mm256_madd_epi16(a, high));
    highB = _mm256_add_epi32(highB, _mm256_madd_epi16(b, high));
    lowA = _mm256_add_epi32(lowA, _mm256_madd_epi16(a, low));
    lowB = _mm256_add_epi32(lowB, _mm256_madd_epi16(b, low));
  }
  const __m256i a = _mm256_srai_epi32(combine(highA, lowA), Axis::FRACTION_BITS);
  const __m256i b = _mm256_srai_epi32(combine(highB, lowB), Axis::FRACTION_BITS);
  // Packing goes by halves: A0 B0 A1 B1, to be put in order.
  const __m256i shorts = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
  return _mm_packus_epi16(_mm256_castsi256_si128(shorts), _mm256_extracti128_si256(shorts, 1));
}

AVX2 void downAvx2(const std::uint8_t *const *rows, const Axis::Taps &taps, std::size_t length, std::uint8_t *result) {
  std::size_t at = 0;
  for (; at + 16 <= length; at += 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i *>(result + at), downSixteen(rows, taps, at));
  }
  if (at == length) return;
  std::uint8_t last[16];
  _mm_storeu_si128(reinterpret_cast<__m128i *>(last), downSixteen(rows, taps, at));
  std::memcpy(result + at, last, length - at);
}

constexpr Weighing WITH_AVX2 = {acrossAvx2<1>, acrossAvx2<ROWS_TOGETHER>, downAvx2};

bool hasAvx2() {
  // Also asks whether the operating system keeps the wide registers.
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2");
}
#endif

}  // namespace

std::vector<std::string> supportedWeighings() {
  std::vector<std::string> names;
#ifdef X86_VARIANTS
  if (hasAvx2()) names.push_back("avx2");
#endif
  names.push_back("baseline");
  return names;
}

const Weighing *findWeighing(const std::string &instructions) {
  for (const std::string &name : supportedWeighings()) {
    if (name != instructions) continue;
#ifdef X86_VARIANTS
    if (name == "avx2") return &WITH_AVX2;
#endif
    return &BASELINE;
  }
  return nullptr;
}
