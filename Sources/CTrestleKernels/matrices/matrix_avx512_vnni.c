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
  // How far ahead weights are fetched, in bytes.
  PREFETCH_DISTANCE = 4096,
  // Lines of at most so many bytes are taken in pairs, which share what ends a line; two longer ones are two streams, which memory
  // gives more slowly than one.
  LONGEST_PAIRED_LINE = 512,
};

// Adds the products of `rows` rows with a block to sums[i] and, of what stands in for offsets, to rest[i]. pairs[4 * place] holds the
// activations' scale and what the head's second number (the minimum, or else the scale) is multiplied by.
INLINE void add_int8_block(const int storage, const int rows, const trestle_int8_rows *x, const float *pairs,
                           int64_t first_row, int64_t groups, int64_t g, const uint8_t *block, __m256 *sums, __m128 *rest) {
  _mm_prefetch((const char *)block + PREFETCH_DISTANCE, _MM_HINT_T0);
  // Lanes 2 and 3 hold whatever follows the head; nothing reads them.
  __m128 head = _mm_cvtph_ps(_mm_loadl_epi64((const __m128i *)block));
  if (!HAS_MINIMUM(storage)) head = _mm_broadcastss_ps(head);
  const uint8_t *body = block + (HAS_MINIMUM(storage) ? 4 : 2);
  __m256i w;
  if (storage == TRESTLE_Q8_0) {
    w = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)body), _mm256_set1_epi8(-128));
  } else {
    const int has_fifth_bits = storage == TRESTLE_Q5_0 || storage == TRESTLE_Q5_1;
    __m128i q = _mm_loadu_si128((const __m128i *)(body + (has_fifth_bits ? 4 : 0)));
    w = _mm256_inserti128_si256(_mm256_castsi128_si256(q), _mm_srli_epi16(q, 4), 1);
    w = _mm256_and_si256(w, _mm256_set1_epi8(15));
    if (has_fifth_bits) {
      uint32_t fifth_bits;
      __builtin_memcpy(&fifth_bits, body, 4);
      w = _mm256_mask_add_epi8(w, fifth_bits, w, _mm256_set1_epi8(16));
    }
  }
  UNROLL for (int i = 0; i < rows; i++) {
    int64_t place = (first_row + i) * groups + g;
    __m256i dots = _mm256_dpbusd_epi32(_mm256_setzero_si256(), w,
                                       _mm256_loadu_si256((const __m256i *)(x->values + place * 32)));
    __m128 scales = _mm_mul_ps(head, _mm_loadu_ps(pairs + i * groups * 4 + g * 4));
    sums[i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots), _mm256_broadcastss_ps(scales), sums[i]);
    rest[i] = _mm_add_ps(rest[i], scales);
  }
}

// `lines` lines and `rows` rows.
INLINE void block_int8_dots(const int storage, const int bytes, const int rows, const int lines,
                            const trestle_gemv *product, const trestle_int8_rows *x, const float *pairs,
                            int64_t first_row, int64_t line) {
  const int64_t groups = product->k / 32, stride = product->w.stride;
  const uint8_t *block = (const uint8_t *)product->w.data + line * stride;
  // Of even blocks and of odd ones: an addition need not wait for the last.
  __m256 sums[2][4];
  __m128 rest[2][4];
  UNROLL for (int i = 0; i < rows * lines; i++) {
    sums[0][i] = sums[1][i] = _mm256_setzero_ps();
    rest[0][i] = rest[1][i] = _mm_setzero_ps();
  }
  int64_t g = 0;
  for (; g + 2 <= groups; g += 2, block += 2 * bytes) {
    UNROLL for (int chain = 0; chain < 2; chain++) {
      UNROLL for (int l = 0; l < lines; l++) {
        add_int8_block(storage, rows, x, pairs, first_row, groups, g + chain, block + l * stride + chain * bytes,
                       sums[chain] + l * rows, rest[chain] + l * rows);
      }
    }
  }
  UNROLL for (int l = 0; l < lines && g < groups; l++) {
    add_int8_block(storage, rows, x, pairs, first_row, groups, g, block + l * stride, sums[0] + l * rows,
                   rest[0] + l * rows);
  }
  UNROLL for (int i = 0; i < rows * lines; i++) {
    f32x8 s = (f32x8)_mm256_add_ps(sums[0][i], sums[1][i]);
    float sum = ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
    store_result(product, first_row + i % rows, line + i / rows, sum + (rest[0][i][1] + rest[1][i][1]));
  }
}

INLINE void block_int8_lines(const int storage, const int bytes, const int rows, const int lines,
                             const trestle_gemv *product, const trestle_int8_rows *x, int64_t first_row,
                             int64_t first_line, int64_t count) {
  float pairs[LARGEST_PAIRS * 4];
  const int64_t groups = product->k / 32;
  const float bias = storage == TRESTLE_Q8_0 ? 128 : storage == TRESTLE_Q5_0 ? 16 : 8;
  const float factor = HAS_MINIMUM(storage) ? 1 : -bias;
  for (int64_t place = 0; place < rows * groups; place++) {
    const float *half_sums = x->half_sums + 2 * (first_row * groups + place);
    pairs[4 * place] = x->scales[first_row * groups + place];
    pairs[4 * place + 1] = factor * (half_sums[0] + half_sums[1]);
    pairs[4 * place + 2] = pairs[4 * place + 3] = 0;
  }
  int64_t line = first_line;
  for (; line + lines <= first_line + count; line += lines) {
    block_int8_dots(storage, bytes, rows, lines, product, x, pairs, first_row, line);
  }
  for (; line < first_line + count; line++) {
    block_int8_dots(storage, bytes, rows, 1, product, x, pairs, first_row, line);
  }
}

#define BLOCK_LINES(name, storage, bytes)                                                                              \
  static void name(const trestle_gemv *product, const trestle_int8_rows *x, int64_t first_line, int64_t lines) {       \
    for (int64_t row = 0; row < product->rows;) {                                                                      \
      if (product->rows - row >= 4) {                                                                                  \
        block_int8_lines(storage, bytes, 4, 1, product, x, row, first_line, lines);                                    \
        row += 4;                                                                                                      \
      } else if (product->rows - row >= 2) {                                                                           \
        block_int8_lines(storage, bytes, 2, 1, product, x, row, first_line, lines);                                    \
        row += 2;                                                                                                      \
      } else {                                                                                                         \
        if (storage != TRESTLE_Q8_0 && product->w.stride <= LONGEST_PAIRED_LINE) {                                     \
          block_int8_lines(storage, bytes, 1, 2, product, x, row, first_line, lines);                                  \
        } else {                                                                                                       \
          block_int8_lines(storage, bytes, 1, 1, product, x, row, first_line, lines);                                  \
        }                                                                                                              \
        row += 1;                                                                                                      \
      }                                                                                                                \
    }                                                                                                                  \
  }
BLOCK_LINES(gemv_q8_0, TRESTLE_Q8_0, 34)
BLOCK_LINES(gemv_q4_0, TRESTLE_Q4_0, 18)
BLOCK_LINES(gemv_q4_1, TRESTLE_Q4_1, 20)
BLOCK_LINES(gemv_q5_0, TRESTLE_Q5_0, 22)
BLOCK_LINES(gemv_q5_1, TRESTLE_Q5_1, 24)

// ---- Blocks of 256 -------------------------------------------------------------------------------------------------------
//
// Two groups of 32 to a vector, for formats that take many instructions to decode. An element is two chains over the pairs of
// groups and one over the offsets, whatever the number of rows and lines.

// Which of a block's scales each lane of a pair's dot products takes: of eight groups, or of sixteen halves.
static const int32_t group_lanes[4][16] = {
    {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1},
    {2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3},
    {4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5},
    {6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7},
};
static const int32_t half_lanes[4][16] = {
    {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3},
    {4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7},
    {8, 8, 8, 8, 9, 9, 9, 9, 10, 10, 10, 10, 11, 11, 11, 11},
    {12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 15},
};

// 32 bytes twice, shifted to the right by one count and by another, their neighbours' bits coming in from the left.
INLINE __m512i shifted_twice(const uint8_t *bytes, const int first, const int second) {
  const __m512i counts = _mm512_inserti64x4(_mm512_set1_epi16((short)first), _mm256_set1_epi16((short)second), 1);
  return _mm512_srlv_epi16(_mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)bytes)), counts);
}

// The numbers q of groups 2 p and 2 p + 1.
INLINE __m512i pair_bytes(const int storage, const uint8_t *block, const int p) {
  if (storage == TRESTLE_Q6_K) {
    __m512i low = _mm512_loadu_si512(block + 64 * (p / 2));
    if (p % 2) low = _mm512_srli_epi16(low, 4);
    const __m512i high = shifted_twice(block + 128 + 32 * (p / 2), 4 * (p % 2), 4 * (p % 2) + 2);
    return _mm512_or_si512(_mm512_and_si512(low, _mm512_set1_epi8(15)),
                           _mm512_slli_epi16(_mm512_and_si512(high, _mm512_set1_epi8(3)), 4));
  }
  const __m512i low = _mm512_and_si512(shifted_twice(block + 48 + 32 * p, 0, 4), _mm512_set1_epi8(15));
  const __m512i high = _mm512_and_si512(shifted_twice(block + 16, 2 * p, 2 * p + 1), _mm512_set1_epi8(1));
  return _mm512_or_si512(low, _mm512_slli_epi16(high, 4));
}

// One line and `rows` rows, two at most: more have no registers.
INLINE void large_int8_dots(const int storage, const int bytes, const int rows, const trestle_gemv *product,
                            const trestle_int8_rows *x, int64_t first_row, int64_t line) {
  const int64_t groups = product->k / 32;
  const uint8_t *block = (const uint8_t *)product->w.data + line * product->w.stride;
  __m512 sums[2][2], rest[2];
  UNROLL for (int i = 0; i < rows; i++) sums[i][0] = sums[i][1] = rest[i] = _mm512_setzero_ps();
  _Pragma("clang loop unroll(disable)") for (int64_t g = 0; g + 8 <= groups; g += 8, block += bytes) {
    UNROLL for (int ahead = 0; ahead < bytes; ahead += 64) {
      _mm_prefetch((const char *)block + BLOCK_PREFETCH_DISTANCE + ahead, _MM_HINT_T0);
    }
    float scales[16], offsets[16];
    large_block_heads(storage, 1, block, scales, offsets);
    __m512 products[2];
    UNROLL for (int i = 0; i < rows; i++) {
      const int64_t place = (first_row + i) * groups + g;
      rest[i] = _mm512_fmadd_ps(_mm512_loadu_ps(offsets), _mm512_loadu_ps(x->half_sums + 2 * place), rest[i]);
      const __m512 factors = _mm512_castps256_ps512(_mm256_loadu_ps(x->scales + place));
      if (storage == TRESTLE_Q6_K) {
        const __m512i twice = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
        products[i] = _mm512_mul_ps(_mm512_loadu_ps(scales), _mm512_permutexvar_ps(twice, factors));
      } else {
        products[i] = _mm512_castps256_ps512(_mm256_mul_ps(_mm256_loadu_ps(scales), _mm512_castps512_ps256(factors)));
      }
    }
    UNROLL for (int p = 0; p < 4; p++) {
      const __m512i w = pair_bytes(storage, block, p);
      const __m512i lanes = _mm512_loadu_si512(storage == TRESTLE_Q6_K ? half_lanes[p] : group_lanes[p]);
      UNROLL for (int i = 0; i < rows; i++) {
        const int8_t *values = x->values + ((first_row + i) * groups + g + 2 * p) * 32;
        const __m512i dots = _mm512_dpbusd_epi32(_mm512_setzero_si512(), w, _mm512_loadu_si512(values));
        sums[i][p % 2] =
            _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), _mm512_permutexvar_ps(lanes, products[i]), sums[i][p % 2]);
      }
    }
  }
  UNROLL for (int i = 0; i < rows; i++) {
    const f32_vector sum = (f32_vector)_mm512_add_ps(_mm512_add_ps(sums[i][0], sums[i][1]), rest[i]);
    store_result(product, first_row + i, line, sum_float_lanes(&sum));
  }
}

#define LARGE_ROWS(name, storage, bytes, rows)                                                                         \
  static __attribute__((noinline)) void name(const trestle_gemv *product, const trestle_int8_rows *x,                  \
                                             int64_t first_row, int64_t first_line, int64_t lines) {                   \
    for (int64_t line = first_line; line < first_line + lines; line++) {                                               \
      large_int8_dots(storage, bytes, rows, product, x, first_row, line);                                              \
    }                                                                                                                  \
  }
#define LARGE_LINES(name, storage, bytes)                                                                              \
  LARGE_ROWS(name##_pairs_2, storage, bytes, 2)                                                                        \
  LARGE_ROWS(name##_pairs_1, storage, bytes, 1)                                                                        \
  static void name(const trestle_gemv *product, const trestle_int8_rows *x, int64_t first_line, int64_t lines) {       \
    int64_t row = 0;                                                                                                   \
    for (; row + 2 <= product->rows; row += 2) name##_pairs_2(product, x, row, first_line, lines);                     \
    for (; row < product->rows; row++) name##_pairs_1(product, x, row, first_line, lines);                             \
  }
LARGE_LINES(gemv_q5_k, TRESTLE_Q5_K, 176)
LARGE_LINES(gemv_q6_k, TRESTLE_Q6_K, 210)

void trestle_gemv_int8_vnni(const trestle_gemv *product, const trestle_int8_rows *x, int64_t first_line,
                            int64_t lines) {
  const int is_small = product->k / 32 * 4 <= LARGEST_PAIRS;
  switch (is_small ? product->w.storage : TRESTLE_STORAGE_COUNT) {
    case TRESTLE_Q8_0: gemv_q8_0(product, x, first_line, lines); break;
    case TRESTLE_Q4_0: gemv_q4_0(product, x, first_line, lines); break;
    case TRESTLE_Q4_1: gemv_q4_1(product, x, first_line, lines); break;
    case TRESTLE_Q5_0: gemv_q5_0(product, x, first_line, lines); break;
    case TRESTLE_Q5_1: gemv_q5_1(product, x, first_line, lines); break;
    case TRESTLE_Q5_K: gemv_q5_k(product, x, first_line, lines); break;
    case TRESTLE_Q6_K: gemv_q6_k(product, x, first_line, lines); break;
    default: trestle_gemv_int8_avx512(product, x, first_line, lines);
  }
}
#pragma clang attribute pop
#else
typedef int trestle_matrix_avx512_vnni_is_empty;
#endif
