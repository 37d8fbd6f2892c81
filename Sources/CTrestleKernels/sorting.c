// The order of numbers and the distinct ones among them, for all levels: what is moved is whole records.
#include "CTrestleKernels.h"

#include <string.h>

typedef struct {
  uint32_t key, index;
} narrow;
typedef struct {
  uint64_t key, index;
} wide;

// Places for distinct values, of which half are used: a power of two, and what of 64 bits is not its number of bits.
#define UNIQUE_TABLE 4096
#define UNIQUE_SHIFT 52

#define RECORD narrow
#define SORTED(name) narrow_##name
#define KEY(record) (record).key
#define DIGITS 4
#include "bodies/radix.inc"
#undef RECORD
#undef SORTED
#undef DIGITS
#define RECORD wide
#define SORTED(name) wide_##name
#define DIGITS 8
#include "bodies/radix.inc"

// ---- Keys: unsigned numbers in the order of the elements --------------------------------------------------------------

// Negative numbers are ordered by their complement, below all others; -0 is 0, and a NaN, whatever its bits, is last.
static uint32_t key_f32(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  if (x != x) return UINT32_MAX;
  if (x == 0) bits = 0;
  return bits >> 31 ? ~bits : bits | 1u << 31;
}
static uint64_t key_f64(double x) {
  uint64_t bits;
  memcpy(&bits, &x, 8);
  if (x != x) return UINT64_MAX;
  if (x == 0) bits = 0;
  return bits >> 63 ? ~bits : bits | 1ull << 63;
}

static void narrow_keys(trestle_key key, const void *x, int64_t n, uint32_t flip, narrow *records) {
  for (int64_t i = 0; i < n; i++) {
    const uint32_t value = key == TRESTLE_KEY_F32   ? key_f32(((const float *)x)[i])
                           : key == TRESTLE_KEY_I32 ? ((const uint32_t *)x)[i] ^ 1u << 31
                                                    : ((const uint8_t *)x)[i];
    records[i] = (narrow){value ^ flip, (uint32_t)i};
  }
}
static void wide_keys(trestle_key key, const void *x, int64_t n, uint64_t flip, wide *records) {
  for (int64_t i = 0; i < n; i++) {
    const uint64_t value =
        key == TRESTLE_KEY_F64 ? key_f64(((const double *)x)[i]) : ((const uint64_t *)x)[i] ^ 1ull << 63;
    records[i] = (wide){value ^ flip, (uint64_t)i};
  }
}

// ---- What is asked for ------------------------------------------------------------------------------------------------

static int is_wide(trestle_key key) { return key == TRESTLE_KEY_F64 || key == TRESTLE_KEY_I64; }

int64_t trestle_sort_workspace(trestle_key key, int64_t n) {
  return 2 * n * (int64_t)(is_wide(key) ? sizeof(wide) : sizeof(narrow));
}

void trestle_sort_order(trestle_key key, const void *x, int64_t n, int is_descending, int32_t *order, void *workspace) {
  if (is_wide(key)) {
    wide *records = workspace;
    wide_keys(key, x, n, is_descending ? UINT64_MAX : 0, records);
    wide_order(wide_sort(records, records + n, n), n, order);
  } else {
    narrow *records = workspace;
    narrow_keys(key, x, n, is_descending ? UINT32_MAX : 0, records);
    narrow_order(narrow_sort(records, records + n, n), n, order);
  }
}

int64_t trestle_unique(trestle_key key, const void *x, int64_t n, int32_t *positions, int32_t *firsts, int32_t *counts,
                       void *workspace) {
  if (is_wide(key)) {
    wide *records = workspace;
    wide_keys(key, x, n, 0, records);
    return wide_unique(records, records + n, n, positions, firsts, counts);
  }
  narrow *records = workspace;
  narrow_keys(key, x, n, 0, records);
  return narrow_unique(records, records + n, n, positions, firsts, counts);
}
