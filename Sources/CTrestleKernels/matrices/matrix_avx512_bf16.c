// The bfloat16 product of AVX-512 with bfloat16 dot products.
#if defined(__x86_64__)
#include <immintrin.h>

#include "CTrestleKernels.h"

#pragma clang attribute push(__attribute__((target("avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)
#define MATRIX_LEVEL avx512
#define VECTOR_BYTES 64
#define ROWS 8
#define VECTORS 3
#define LONGEST_K 512
#define HALF_TO_FLOAT(x) _cvtsh_ss(x)
#define TABLE_BYTES(table, q) _mm_shuffle_epi8((__m128i)(table), (__m128i)(q))
#define BF16_DOT(sum, x, y) ((f32_vector)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)(x), (__m512bh)(y)))
#define ROUND_BF16(in, out) _mm256_storeu_si256((__m256i *)(out), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(in)))
#include "../bodies/matrix/level.inc"
#pragma clang attribute pop
#else
typedef int trestle_matrix_avx512_bf16_is_empty;
#endif
