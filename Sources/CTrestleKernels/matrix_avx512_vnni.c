// Products with 8-bit activations, of AVX-512 with byte dot products.
#if defined(__x86_64__)
#include <immintrin.h>

#include "CTrestleKernels.h"

#pragma clang attribute push(__attribute__((target("avx512vnni,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)
#define MATRIX_LEVEL avx512
#define VECTOR_BYTES 64
#define WIDE_TILE 1
#define NARROW_TILE 0
#define HALF_TO_FLOAT(x) _cvtsh_ss(x)
#define INT8_DOT(w, x) ((s32x8)_mm256_dpbusd_epi32(_mm256_setzero_si256(), (__m256i)(w), (__m256i)(x)))
#include "bodies/matrix_level.inc"
#pragma clang attribute pop
#else
typedef int trestle_matrix_avx512_vnni_is_empty;
#endif
