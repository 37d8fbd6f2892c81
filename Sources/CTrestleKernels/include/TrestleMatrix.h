// Matrix products: the part of the kernels that packs operands and multiplies blocks. Included by CTrestleKernels.h.
#ifndef TRESTLE_MATRIX_H
#define TRESTLE_MATRIX_H
#include <stddef.h>
#include <stdint.h>
#endif
