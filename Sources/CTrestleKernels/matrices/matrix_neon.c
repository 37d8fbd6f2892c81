// 64-bit ARM: 128-bit vectors, 32 registers, fused multiply-add by element.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "CTrestleKernels.h"

#define MATRIX_LEVEL neon
#define VECTOR_BYTES 16
#define ROWS 8
#define VECTORS 3
#define LONGEST_K 512
#define TABLE_BYTES(table, q) vqtbl1q_u8((uint8x16_t)(table), (uint8x16_t)(q))
#include "../bodies/matrix/level.inc"
#else
typedef int trestle_matrix_neon_is_empty;
#endif
