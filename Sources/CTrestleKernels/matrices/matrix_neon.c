// 64-bit ARM: 128-bit vectors, 32 registers, fused multiply-add by element.
#if defined(__aarch64__)
#include "CTrestleKernels.h"

#define MATRIX_LEVEL neon
#define VECTOR_BYTES 16
#define ROWS 8
#define VECTORS 3
#define LONGEST_K 512
#include "../bodies/matrix/level.inc"
#else
typedef int trestle_matrix_neon_is_empty;
#endif
