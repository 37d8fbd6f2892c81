// Results of one level, to be compared with those of another.
#ifndef TRESTLE_NEON_RECORDER_H
#define TRESTLE_NEON_RECORDER_H
#include <stddef.h>
#include <stdint.h>

// What one call gave: its name and where its numbers lie in the recorder.
typedef struct {
  char name[64];
  size_t first, count;
  double tolerance;
} record;

typedef struct {
  record *records;
  size_t record_count, record_capacity;
  double *numbers;
  size_t number_count, number_capacity;
} recorder;

// Keeps `count` numbers, float (is_double 0) or double, that may differ between levels by tolerance * (1 + magnitude).
void keep(recorder *to, const char *name, int64_t size, const void *numbers, int is_double, size_t count,
          double tolerance);
void keep_integers(recorder *to, const char *name, int64_t size, const int32_t *numbers, size_t count);

// `count` reproducible numbers in [low, high) of the type, in memory of the caller.
void make_numbers(void *out, int is_double, size_t count, uint64_t seed, double low, double high);

void run_vectors(recorder *to, int level, int is_double);
void run_conversions(recorder *to, int level);
void run_matrices(recorder *to, int level);
#endif
