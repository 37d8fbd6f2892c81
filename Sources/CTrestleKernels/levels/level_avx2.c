// AVX2 with fused multiply-add.
#if defined(__x86_64__)
#include <immintrin.h>
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "CTrestleKernels.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)
#define TRESTLE_LEVEL avx2
#define TRESTLE_VECTOR_BYTES 32
#define TRESTLE_FUSED 1
#include "../bodies/level.inc"
#pragma clang attribute pop
#else
typedef int trestle_level_avx2_is_empty;
#endif
