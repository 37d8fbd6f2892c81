// AVX-512 with its byte, double-word and vector-length extensions.
#if defined(__x86_64__)
#include <immintrin.h>

#include "CTrestleKernels.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)
#define MATRIX_LEVEL avx512
#define VECTOR_BYTES 64
#define ROWS 8
#define VECTORS 3
#define LONGEST_K 512
#define HALF_TO_FLOAT(x) _cvtsh_ss(x)
#define TABLE_BYTES(table, q) _mm_shuffle_epi8((__m128i)(table), (__m128i)(q))
#define BLOCK_FLOATS(storage, block, out) block_floats(storage, block, (float *)(out))

// The 32 numbers of a block as float, for the formats of most files; 0 for others. The sixteen values that four bits
// can stand for make a table of one register, from which a permutation takes them.
static inline __attribute__((always_inline)) int block_floats(const int storage, const uint8_t *block, float *out) {
  if (storage == TRESTLE_Q4_0 || storage == TRESTLE_Q4_1) {
    const __m512 bits = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    __m512 values;
    if (storage == TRESTLE_Q4_1) {
      int32_t head;
      __builtin_memcpy(&head, block, 4);
      const __m512 pairs = _mm512_cvtph_ps(_mm256_set1_epi32(head));  // scale, minimum, scale, minimum …
      values = _mm512_fmadd_ps(bits, _mm512_moveldup_ps(pairs), _mm512_movehdup_ps(pairs));
    } else {
      int16_t head;
      __builtin_memcpy(&head, block, 2);
      values = _mm512_mul_ps(_mm512_sub_ps(bits, _mm512_set1_ps(8)), _mm512_cvtph_ps(_mm256_set1_epi16(head)));
    }
    const __m512i q =
        _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(block + (storage == TRESTLE_Q4_1 ? 4 : 2))));
    _mm512_storeu_ps(out, _mm512_permutexvar_ps(q, values));  // It looks at the lowest four bits of each lane.
    _mm512_storeu_ps(out + 16, _mm512_permutexvar_ps(_mm512_srli_epi32(q, 4), values));
    return 1;
  }
  if (storage == TRESTLE_Q8_0) {
    int16_t head;
    __builtin_memcpy(&head, block, 2);
    const __m512 scale = _mm512_cvtph_ps(_mm256_set1_epi16(head));
    for (int half = 0; half < 2; half++) {
      const __m128i q = _mm_loadu_si128((const __m128i *)(block + 2 + 16 * half));
      _mm512_storeu_ps(out + 16 * half, _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q)), scale));
    }
    return 1;
  }
  return 0;
}

#include "../bodies/matrix/group_dot.inc"
#include "../bodies/matrix/level.inc"
#pragma clang attribute pop
#else
typedef int trestle_matrix_avx512_is_empty;
#endif
