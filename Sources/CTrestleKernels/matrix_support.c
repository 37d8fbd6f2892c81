// The tables of matrix products, and the clock. Compiled for the baseline processor.
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <time.h>

#include "CTrestleKernels.h"

#define LEVEL(constant, name) extern const trestle_matrix_kernels trestle_matrix_##name;
TRESTLE_LEVELS_HERE(LEVEL)
#undef LEVEL
#if defined(__x86_64__)
extern const trestle_product_kernels trestle_bf16_product_avx512;
extern void trestle_gemv_int8_avx2(const trestle_gemv *product, const trestle_int8_rows *x, int64_t first_line,
                                   int64_t lines);
extern void trestle_gemv_int8_vnni(const trestle_gemv *product, const trestle_int8_rows *x, int64_t first_line,
                                   int64_t lines);
#endif

static trestle_matrix_kernels tables[TRESTLE_LEVEL_COUNT];
static int available[TRESTLE_LEVEL_COUNT];
static pthread_once_t filled = PTHREAD_ONCE_INIT;

static void fill_tables(void) {
  for (int level = 0; level < TRESTLE_LEVEL_COUNT; level++) {
    available[level] = trestle_level_is_available((trestle_level)level);
  }
#define LEVEL(constant, name) tables[TRESTLE_LEVEL_##constant] = trestle_matrix_##name;
  TRESTLE_LEVELS_HERE(LEVEL)
#undef LEVEL
#if defined(__x86_64__)
  if (trestle_level_has_int8(TRESTLE_LEVEL_AVX2)) tables[TRESTLE_LEVEL_AVX2].gemv_int8 = trestle_gemv_int8_avx2;
  if (trestle_level_has_bf16(TRESTLE_LEVEL_AVX512)) tables[TRESTLE_LEVEL_AVX512].bf16 = trestle_bf16_product_avx512;
  if (trestle_level_has_int8(TRESTLE_LEVEL_AVX512)) {
    tables[TRESTLE_LEVEL_AVX512].gemv_int8 = trestle_gemv_int8_vnni;
  }
#endif
}

const trestle_matrix_kernels *trestle_matrix_table(int level) {
  pthread_once(&filled, fill_tables);
  return level >= 0 && level < TRESTLE_LEVEL_COUNT && available[level] ? &tables[level] : NULL;
}

uint64_t trestle_nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
