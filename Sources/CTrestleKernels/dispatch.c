// What this machine can run, and the tables of each level. Compiled for the baseline processor: no target attribute.
#include "CTrestleKernels.h"

#if defined(__x86_64__)
#include <cpuid.h>

typedef struct {
  int avx2, avx512, bf16, vnni, avx_vnni;
} features;

// XCR0: the registers that the operating system saves on a context switch.
static uint64_t saved_registers(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

static features detect(void) {
  features found = {0, 0, 0, 0, 0};
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return found;
  const uint32_t fma = 1u << 12, popcnt = 1u << 23, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
  const uint32_t basics = fma | popcnt | osxsave | avx | f16c;
  if ((c & basics) != basics) return found;
  const uint64_t saved = saved_registers();
  // Bits 1 and 2: the SSE and AVX registers; bits 5 to 7: the mask registers and the AVX-512 halves.
  if ((saved & 0x6) != 0x6) return found;
  uint32_t lzcnt_leaf;
  if (!__get_cpuid(0x80000001u, &a, &b, &lzcnt_leaf, &d) || !(lzcnt_leaf & 1u << 5)) return found;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
  const uint32_t bmi = 1u << 3, avx2 = 1u << 5, bmi2 = 1u << 8;
  found.avx2 = (b & (bmi | avx2 | bmi2)) == (bmi | avx2 | bmi2);
  const uint32_t f = 1u << 16, dq = 1u << 17, cd = 1u << 28, bw = 1u << 30, vl = 1u << 31;
  const uint32_t wide = f | dq | cd | bw | vl;
  found.avx512 = found.avx2 && (b & wide) == wide && (saved & 0xE6) == 0xE6;
  found.vnni = found.avx512 && (c & 1u << 11) != 0;
  uint32_t a1, b1, c1, d1;
  if (found.avx2 && a >= 1 && __get_cpuid_count(7, 1, &a1, &b1, &c1, &d1)) {
    found.avx_vnni = (a1 & 1u << 4) != 0;
    found.bf16 = found.avx512 && (a1 & 1u << 5) != 0;
  }
  return found;
}
#endif

// Whether the machine can run a level. One that is listed without its condition here does not compile.
static int runs_portable(void) { return 1; }
#if defined(__x86_64__)
static int runs_avx2(void) { return detect().avx2; }
static int runs_avx512(void) { return detect().avx512; }
#elif defined(__aarch64__)
static int runs_neon(void) { return 1; }
#endif

int trestle_level_is_available(trestle_level level) {
  switch (level) {
#define LEVEL(constant, name) case TRESTLE_LEVEL_##constant: return runs_##name();
    TRESTLE_LEVELS_HERE(LEVEL)
#undef LEVEL
    default: return 0;
  }
}

trestle_level trestle_best_level(void) {
  for (int level = TRESTLE_LEVEL_COUNT - 1; level > TRESTLE_LEVEL_PORTABLE; level--)
    if (trestle_level_is_available((trestle_level)level)) return (trestle_level)level;
  return TRESTLE_LEVEL_PORTABLE;
}

const char *trestle_level_name(trestle_level level) {
  switch (level) {
#define LEVEL(constant, name) case TRESTLE_LEVEL_##constant: return #name;
    TRESTLE_LEVELS(LEVEL)
#undef LEVEL
    default: return "unknown";
  }
}

int trestle_level_has_bf16(trestle_level level) {
#if defined(__x86_64__)
  if (level == TRESTLE_LEVEL_AVX512) return detect().bf16;
#endif
  (void)level;
  return 0;
}

int trestle_level_has_int8(trestle_level level) {
#if defined(__x86_64__)
  if (level == TRESTLE_LEVEL_AVX512) return detect().vnni;
  if (level == TRESTLE_LEVEL_AVX2) return detect().avx_vnni;
#endif
  (void)level;
  return 0;
}

// ---- Tables -----------------------------------------------------------------------------------------------------------

#define LEVEL(constant, name)                                                          \
  extern const trestle_kernels trestle_kernels_f32_##name, trestle_kernels_f64_##name; \
  extern const trestle_conversions trestle_conversions_##name;
TRESTLE_LEVELS_HERE(LEVEL)
#undef LEVEL

const trestle_kernels *trestle_kernels_table(trestle_level level, int is_double) {
  if (!trestle_level_is_available(level)) return NULL;
  switch (level) {
#define LEVEL(constant, name) \
  case TRESTLE_LEVEL_##constant: return is_double ? &trestle_kernels_f64_##name : &trestle_kernels_f32_##name;
    TRESTLE_LEVELS_HERE(LEVEL)
#undef LEVEL
    default: return NULL;
  }
}

const trestle_conversions *trestle_conversions_table(trestle_level level) {
  if (!trestle_level_is_available(level)) return NULL;
  switch (level) {
#define LEVEL(constant, name) case TRESTLE_LEVEL_##constant: return &trestle_conversions_##name;
    TRESTLE_LEVELS_HERE(LEVEL)
#undef LEVEL
    default: return NULL;
  }
}

// ---- The list of functions ----------------------------------------------------------------------------------------------

trestle_reads trestle_unary_reads(trestle_unary function) {
#define READS(code, name, reads, ...) [TRESTLE_##code] = TRESTLE_READS_##reads,
  static const trestle_reads table[] = {TRESTLE_UNARY_FUNCTIONS(READS)};
#undef READS
  return table[function];
}

#define NAME(code, name, ...) [TRESTLE_##code] = #name,
const char *trestle_unary_name(trestle_unary function) {
  static const char *const table[] = {TRESTLE_UNARY_FUNCTIONS(NAME)};
  return table[function];
}
const char *trestle_binary_name(trestle_binary function) {
  static const char *const table[] = {TRESTLE_BINARY_FUNCTIONS(NAME)};
  return table[function];
}
#undef NAME

// ---- Grouping positions by row ------------------------------------------------------------------------------------------

void trestle_bucket_positions(const int32_t *index, int64_t n, int64_t bucket_rows, int64_t bucket_count, int32_t *order,
                              int64_t *bucket_start) {
  for (int64_t b = 0; b <= bucket_count; b++) bucket_start[b] = 0;
  for (int64_t i = 0; i < n; i++) bucket_start[index[i] / bucket_rows + 1]++;
  for (int64_t b = 0; b < bucket_count; b++) bucket_start[b + 1] += bucket_start[b];
  for (int64_t i = 0; i < n; i++) order[bucket_start[index[i] / bucket_rows]++] = (int32_t)i;
  // Each start has moved to the next bucket's: move them back.
  for (int64_t b = bucket_count; b > 0; b--) bucket_start[b] = bucket_start[b - 1];
  bucket_start[0] = 0;
}
