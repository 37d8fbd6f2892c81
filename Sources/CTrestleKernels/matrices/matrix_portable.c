// The baseline of the architecture: 128-bit vectors, no target attribute.
#include "CTrestleKernels.h"

#define MATRIX_LEVEL portable
#define VECTOR_BYTES 16
#define ROWS 4
#define VECTORS 2
#define LONGEST_K 512
#include "../bodies/matrix/level.inc"
