// NEON, part of every 64-bit ARM processor.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "CTrestleKernels.h"

#define TRESTLE_LEVEL neon
#define TRESTLE_VECTOR_BYTES 16
#define TRESTLE_FUSED 1
#include "../bodies/level.inc"
#else
typedef int trestle_level_neon_is_empty;
#endif
