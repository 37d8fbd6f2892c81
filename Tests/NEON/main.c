// Compares every kernel of the NEON level with the portable one, on the sizes that the Swift tests use.
// Prints each difference, then 'N passed, N failed'; exits with 1 if any failed.
#include "recorder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CTrestleKernels.h"

static double *room(recorder *to, const char *name, int64_t size, size_t count, double tolerance) {
  if (to->record_count == to->record_capacity) {
    to->record_capacity = to->record_capacity * 2 + 64;
    to->records = realloc(to->records, to->record_capacity * sizeof(record));
  }
  while (to->number_count + count >= to->number_capacity) {
    to->number_capacity = to->number_capacity * 2 + 4096;
    to->numbers = realloc(to->numbers, to->number_capacity * sizeof(double));
  }
  if (!to->records || !to->numbers) {
    fprintf(stderr, "out of memory\n");
    exit(2);
  }
  record *at = &to->records[to->record_count++];
  snprintf(at->name, sizeof at->name, "%s %lld", name, (long long)size);
  at->first = to->number_count;
  at->count = count;
  at->tolerance = tolerance;
  to->number_count += count;
  return to->numbers + at->first;
}

void keep(recorder *to, const char *name, int64_t size, const void *numbers, int is_double, size_t count,
          double tolerance) {
  double *out = room(to, name, size, count, tolerance);
  for (size_t i = 0; i < count; i++) out[i] = is_double ? ((const double *)numbers)[i] : ((const float *)numbers)[i];
}

void keep_integers(recorder *to, const char *name, int64_t size, const int32_t *numbers, size_t count) {
  double *out = room(to, name, size, count, 0);
  for (size_t i = 0; i < count; i++) out[i] = numbers[i];
}

void make_numbers(void *out, int is_double, size_t count, uint64_t seed, double low, double high) {
  uint64_t state = seed * 0x9E3779B97F4A7C15u | 1;
  for (size_t i = 0; i < count; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    double number = (float)(low + (high - low) * (double)(state >> 40) / (double)(1 << 24));
    if (is_double) ((double *)out)[i] = number;
    else ((float *)out)[i] = (float)number;
  }
}

static int is_close(double a, double b, double tolerance) {
  if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
  if (a == b) return 1;
  return fabs(a - b) <= tolerance * (1 + fabs(b));
}

int main(void) {
  if (!trestle_level_is_available(TRESTLE_LEVEL_NEON)) {
    fprintf(stderr, "this machine has no NEON\n");
    return 2;
  }
  recorder results[2];
  memset(results, 0, sizeof results);
  const int levels[2] = {TRESTLE_LEVEL_PORTABLE, TRESTLE_LEVEL_NEON};
  for (int i = 0; i < 2; i++) {
    for (int is_double = 0; is_double < 2; is_double++) run_vectors(&results[i], levels[i], is_double);
    run_conversions(&results[i], levels[i]);
    run_matrices(&results[i], levels[i]);
  }
  size_t passed = 0, failed = 0;
  for (size_t r = 0; r < results[0].record_count; r++) {
    const record *one = &results[0].records[r], *other = &results[1].records[r];
    size_t i = 0;
    while (i < one->count &&
           is_close(results[1].numbers[other->first + i], results[0].numbers[one->first + i], one->tolerance))
      i++;
    if (i == one->count) {
      passed++;
      continue;
    }
    failed++;
    printf("%s: element %zu is %.9g, portable %.9g\n", one->name, i, results[1].numbers[other->first + i],
           results[0].numbers[one->first + i]);
  }
  printf("%zu passed, %zu failed\n", passed, failed);
  return failed > 0;
}
