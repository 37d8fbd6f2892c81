// AVX2 with fused multiply-add.
#if defined(__x86_64__)
#include <immintrin.h>

#include "CTrestleKernels.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)
#define MATRIX_LEVEL avx2
#define VECTOR_BYTES 32
#define WIDE_TILE 0
#define NARROW_TILE 0
#define HALF_TO_FLOAT(x) _cvtsh_ss(x)
#include "bodies/matrix_level.inc"
#pragma clang attribute pop
#else
typedef int trestle_matrix_avx2_is_empty;
#endif
