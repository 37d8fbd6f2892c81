// Matrix products: the part of the kernels that packs operands and multiplies blocks. Included by CTrestleKernels.h.
#ifndef TRESTLE_MATRIX_H
#define TRESTLE_MATRIX_H
#include <stddef.h>
#include <stdint.h>

// ---- What the thread pool needs -----------------------------------------------------------------------------------

/// Tells the processor that the thread is waiting actively.
static inline void trestle_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

/// A monotonic clock.
uint64_t trestle_nanoseconds(void);

#endif
