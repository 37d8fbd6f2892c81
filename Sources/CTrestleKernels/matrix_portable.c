// The baseline of the architecture: 128-bit vectors, no target attribute.
#include "CTrestleKernels.h"

#define MATRIX_LEVEL portable
#define VECTOR_BYTES 16
#define WIDE_TILE 0
#define NARROW_TILE 1
#include "bodies/matrix_level.inc"
