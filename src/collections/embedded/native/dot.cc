#include "dot.h"

// GCC and Clang compile single functions for more than the processor that the rest is compiled for, so that one
// binary runs everywhere and is chosen at run time. Elsewhere the loop below is what the compiler makes of it.
#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#define X86_VARIANTS
#include <immintrin.h>
#endif

namespace {

/** Sixteen sums side by side: SSE or NEON registers, by the compiler. */
float dotBaseline(const float *a, const float *b, std::size_t length) {
  float sums[16] = {0};
  std::size_t i = 0;
  for (; i + 16 <= length; i += 16) {
    for (std::size_t j = 0; j < 16; j++) sums[j] += a[i + j] * b[i + j];
  }
  float sum = 0;
  for (; i < length; i++) sum += a[i] * b[i];
  for (std::size_t j = 0; j < 16; j++) sum += sums[j];
  return sum;
}

#ifdef X86_VARIANTS
__attribute__((target("avx2,fma"))) float dotAvx2(const float *a, const float *b, std::size_t length) {
  __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
  std::size_t i = 0;
  for (; i + 32 <= length; i += 32) {
    s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
    s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
    s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
    s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
  }
  for (; i + 8 <= length; i += 8) {
    s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
  }
  const __m256 s = _mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3));
  __m128 h = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  h = _mm_add_ps(h, _mm_movehl_ps(h, h));
  h = _mm_add_ss(h, _mm_movehdup_ps(h));
  float sum = _mm_cvtss_f32(h);
  for (; i < length; i++) sum += a[i] * b[i];
  return sum;
}

__attribute__((target("avx512f"))) float dotAvx512(const float *a, const float *b, std::size_t length) {
  __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
  std::size_t i = 0;
  for (; i + 64 <= length; i += 64) {
    s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
    s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
    s2 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32), s2);
    s3 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48), s3);
  }
  for (; i < length; i += 16) {
    const __mmask16 left = length - i >= 16 ? 0xffff : static_cast<__mmask16>((1u << (length - i)) - 1);
    s0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(left, a + i), _mm512_maskz_loadu_ps(left, b + i), s0);
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}
#endif

}  // namespace

std::vector<std::string> supportedInstructions() {
  std::vector<std::string> names;
#ifdef X86_VARIANTS
  // Also asks whether the operating system keeps the wide registers.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) names.push_back("avx512");
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) names.push_back("avx2");
#endif
  names.push_back("baseline");
  return names;
}

Dot findDot(const std::string &instructions) {
  for (const std::string &name : supportedInstructions()) {
    if (name != instructions) continue;
#ifdef X86_VARIANTS
    if (name == "avx512") return dotAvx512;
    if (name == "avx2") return dotAvx2;
#endif
    return dotBaseline;
  }
  return nullptr;
}
