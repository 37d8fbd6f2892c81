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
#include "../bodies/matrix/group_dot.inc"
#include "../bodies/matrix/level.inc"
#pragma clang attribute pop
#else
typedef int trestle_matrix_avx2_is_empty;
#endif
