// Products with 8-bit activations, of AVX-512 with byte dot products.
#if defined(__x86_64__)
#include <immintrin.h>

#include "CTrestleKernels.h"

#pragma clang attribute push(__attribute__((target("avx512vnni,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)
#define MATRIX_LEVEL avx512
#define VECTOR_BYTES 64
#define ROWS 8
#define VECTORS 3
#define LONGEST_K 512
#define HALF_TO_FLOAT(x) _cvtsh_ss(x)
#define TABLE_BYTES(table, q) _mm_shuffle_epi8((__m128i)(table), (__m128i)(q))
#define ONLY_INT8 1
#define BYTE_DOT(u, s) _mm256_dpbusd_epi32(_mm256_setzero_si256(), u, s)
#include "../bodies/matrix/group_dot.inc"
#include "../bodies/matrix/level.inc"

// ---- Blocks of 32 with one scale ----------------------------------------------------------------------------------
//
// The formats of most files, decoded with few instructions: about a dozen for a block of 32 and one row. A block's
// number is scale * w + offset, with w from 0 to 255; the offset times the sum of the activations is added apart. An
// element is one chain over ascending blocks, whatever the number of rows and lines.

enum {
  LARGEST_PAIRS = 4096,
  // How far ahead weights are fetched, in bytes: the hardware follows one stream, not the two that pairs of lines make.
  PREFETCH_DISTANCE = 8192,
};

// sums[l * rows + i] and rest[l * rows + i] of `lines` lines and `rows` rows. pairs[4 * place] holds the activations'
// scale and what the head's second number (q4_1: the minimum, else the scale) is multiplied by.
INLINE void block_int8_dots(const int storage, const int rows, const int lines, const trestle_gemv *product,
                            const trestle_int8_rows *x, const float *pairs, int64_t first_row, int64_t line) {
  const int bytes = storage == TRESTLE_Q8_0 ? 34 : storage == TRESTLE_Q4_0 ? 18 : 20;
  const int64_t groups = product->k / 32;
  const uint8_t *first = (const uint8_t *)product->w.data + line * product->w.stride;
  __m256 sums[4];
  __m128 rest[4];
  UNROLL for (int i = 0; i < rows * lines; i++) {
    sums[i] = _mm256_setzero_ps();
    rest[i] = _mm_setzero_ps();
  }
  for (int64_t g = 0; g < groups; g++) {
    UNROLL for (int l = 0; l < lines; l++) {
      const uint8_t *block = first + l * product->w.stride + g * bytes;
      _mm_prefetch((const char *)block + PREFETCH_DISTANCE, _MM_HINT_T0);
      // Lanes 2 and 3 hold whatever follows the head; nothing reads them.
      __m128 head = _mm_cvtph_ps(_mm_loadl_epi64((const __m128i *)block));
      if (storage != TRESTLE_Q4_1) head = _mm_broadcastss_ps(head);
      __m256i w;
      if (storage == TRESTLE_Q8_0) {
        w = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(block + 2)), _mm256_set1_epi8(-128));
      } else {
        __m128i q = _mm_loadu_si128((const __m128i *)(block + (storage == TRESTLE_Q4_1 ? 4 : 2)));
        w = _mm256_inserti128_si256(_mm256_castsi128_si256(q), _mm_srli_epi16(q, 4), 1);
        w = _mm256_and_si256(w, _mm256_set1_epi8(15));
      }
      UNROLL for (int i = 0; i < rows; i++) {
        int64_t place = (first_row + i) * groups + g;
        __m256i dots = _mm256_dpbusd_epi32(_mm256_setzero_si256(), w,
                                           _mm256_loadu_si256((const __m256i *)(x->values + place * 32)));
        __m128 scales = _mm_mul_ps(head, _mm_loadu_ps(pairs + i * groups * 4 + g * 4));
        sums[l * rows + i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots), _mm256_broadcastss_ps(scales), sums[l * rows + i]);
        rest[l * rows + i] = _mm_add_ps(rest[l * rows + i], scales);
      }
    }
  }
  UNROLL for (int l = 0; l < lines; l++) {
    UNROLL for (int i = 0; i < rows; i++) {
      f32x8 s = (f32x8)sums[l * rows + i];
      float sum = ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
      store_result(product, first_row + i, line + l, sum + rest[l * rows + i][1]);
    }
  }
}

INLINE void block_int8_lines(const int storage, const int rows, const int lines, const trestle_gemv *product,
                             const trestle_int8_rows *x, int64_t first_row, int64_t first_line, int64_t count) {
  float pairs[LARGEST_PAIRS * 4];
  const int64_t groups = product->k / 32;
  const float factor = storage == TRESTLE_Q4_1 ? 1 : storage == TRESTLE_Q4_0 ? -8 : -128;
  for (int64_t place = 0; place < rows * groups; place++) {
    const float *half_sums = x->half_sums + 2 * (first_row * groups + place);
    pairs[4 * place] = x->scales[first_row * groups + place];
    pairs[4 * place + 1] = factor * (half_sums[0] + half_sums[1]);
    pairs[4 * place + 2] = pairs[4 * place + 3] = 0;
  }
  int64_t line = first_line;
  for (; line + lines <= first_line + count; line += lines) {
    block_int8_dots(storage, rows, lines, product, x, pairs, first_row, line);
  }
  for (; line < first_line + count; line++) block_int8_dots(storage, rows, 1, product, x, pairs, first_row, line);
}

#define BLOCK_LINES(name, storage, single_lines)                                                                       \
  static void name(const trestle_gemv *product, const trestle_int8_rows *x, int64_t first_line, int64_t lines) {       \
    for (int64_t row = 0; row < product->rows;) {                                                                      \
      if (product->rows - row >= 4) {                                                                                  \
        block_int8_lines(storage, 4, 1, product, x, row, first_line, lines);                                           \
        row += 4;                                                                                                      \
      } else if (product->rows - row >= 2) {                                                                           \
        block_int8_lines(storage, 2, 1, product, x, row, first_line, lines);                                           \
        row += 2;                                                                                                      \
      } else {                                                                                                         \
        block_int8_lines(storage, 1, single_lines, product, x, row, first_line, lines);                                \
        row += 1;                                                                                                      \
      }                                                                                                                \
    }                                                                                                                  \
  }
BLOCK_LINES(gemv_q8_0, TRESTLE_Q8_0, 1)
BLOCK_LINES(gemv_q4_0, TRESTLE_Q4_0, 2)
BLOCK_LINES(gemv_q4_1, TRESTLE_Q4_1, 2)

void trestle_gemv_int8_vnni(const trestle_gemv *product, const trestle_int8_rows *x, int64_t first_line,
                            int64_t lines) {
  const int is_small = product->k / 32 * 4 <= LARGEST_PAIRS;
  switch (is_small ? product->w.storage : TRESTLE_STORAGE_COUNT) {
    case TRESTLE_Q8_0: gemv_q8_0(product, x, first_line, lines); break;
    case TRESTLE_Q4_0: gemv_q4_0(product, x, first_line, lines); break;
    case TRESTLE_Q4_1: gemv_q4_1(product, x, first_line, lines); break;
    default: trestle_gemv_int8_avx512(product, x, first_line, lines);
  }
}
#pragma clang attribute pop
#else
typedef int trestle_matrix_avx512_vnni_is_empty;
#endif
