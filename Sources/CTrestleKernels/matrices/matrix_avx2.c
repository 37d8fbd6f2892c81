// AVX2 with fused multiply-add.
#if defined(__x86_64__)
#include <immintrin.h>

#include "CTrestleKernels.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)
#define MATRIX_LEVEL avx2
#define VECTOR_BYTES 32
#define ROWS 6
#define VECTORS 2
#define LONGEST_K 320
#define HALF_TO_FLOAT(x) _cvtsh_ss(x)
#define TABLE_BYTES(table, q) _mm_shuffle_epi8((__m128i)(table), (__m128i)(q))
// The sums of x q over a group of 32, four numbers to a lane. The instruction multiplies unsigned with signed bytes: where
// q is signed, its sign goes to x.
static inline __attribute__((always_inline)) __m256i group_dot(const int is_signed, __m128i q0, __m128i q1, const int8_t *x) {
  const __m256i w = _mm256_inserti128_si256(_mm256_castsi128_si256(q0), q1, 1);
  const __m256i factors = _mm256_loadu_si256((const __m256i *)x);
  const __m256i u = is_signed ? _mm256_abs_epi8(w) : w, s = is_signed ? _mm256_sign_epi8(factors, w) : factors;
  // Pairs reach 2 · 128 · 127, which sixteen bits hold.
  return _mm256_madd_epi16(_mm256_maddubs_epi16(u, s), _mm256_set1_epi16(1));
}
#define GROUP_DOT(is_signed, q0, q1, x) group_dot(is_signed, (__m128i)(q0), (__m128i)(q1), x)

#include "../bodies/matrix/level.inc"
#pragma clang attribute pop
#else
typedef int trestle_matrix_avx2_is_empty;
#endif
