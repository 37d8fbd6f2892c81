#ifndef CTRESTLE_KERNELS_H
#define CTRESTLE_KERNELS_H
#include <stddef.h>
#include <stdint.h>
#endif
