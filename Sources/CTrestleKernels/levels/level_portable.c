// The portable level: what every processor of the architecture has. The reference for the others.
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "CTrestleKernels.h"

#define TRESTLE_LEVEL portable
#define TRESTLE_VECTOR_BYTES 16
#define TRESTLE_FUSED 0
#include "../bodies/level.inc"
