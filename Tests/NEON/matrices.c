// The matrix products: packed tiles, GEMV, block formats and 8-bit activations.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CTrestleKernels.h"
#include "recorder.h"

typedef struct {
  int64_t m, n, k;
} shape;
static const shape shapes[] = {{1, 1, 1},   {2, 3, 7},    {7, 5, 1},    {15, 17, 16}, {16, 16, 31},
                               {33, 31, 64}, {63, 65, 100}, {3, 127, 33}, {65, 1, 127}, {40, 50, 512}};

static void *zeroed(int64_t count, size_t size) {
  void *memory = calloc((size_t)count + 1, size);
  if (!memory) exit(2);
  return memory;
}

static void *panels_of(const trestle_product_kernels *product, const trestle_operand *operand, int64_t lines, int64_t k,
                       int side) {
  const int64_t tile = side ? product->tile_columns : product->tile_rows;
  const int64_t steps = (k + product->k_per_step - 1) / product->k_per_step;
  // 64 bytes of room before, so that panels are aligned as the thread pool's are.
  char *panels = aligned_alloc(64, (size_t)(((lines + tile - 1) / tile * tile * steps * product->bytes_per_step + 127) / 64 * 64));
  if (!panels) exit(2);
  product->pack(operand, 0, lines, 0, k, side, panels, steps, 0);
  return panels;
}

static void run_product(recorder *to, const char *name, const trestle_product_kernels *product, int storage, shape s) {
  const int is_double = storage == TRESTLE_F64;
  const size_t size = is_double ? 8 : 4;
  for (int transposed = 0; transposed < 4; transposed++) {
    void *a = zeroed(s.m * s.k, size), *b = zeroed(s.n * s.k, size), *c = zeroed(s.m * s.n, size);
    make_numbers(a, is_double, (size_t)(s.m * s.k), 31, -2, 2);
    make_numbers(b, is_double, (size_t)(s.n * s.k), 32, -2, 2);
    make_numbers(c, is_double, (size_t)(s.m * s.n), 33, -2, 2);
    const int a_is_rows = !(transposed & 1), b_is_rows = !(transposed & 2);
    const trestle_operand left = {a, a_is_rows ? s.k : s.m, storage, a_is_rows};
    const trestle_operand right = {b, b_is_rows ? s.k : s.n, storage, b_is_rows};
    void *left_panels = panels_of(product, &left, s.m, s.k, 0), *right_panels = panels_of(product, &right, s.n, s.k, 1);
    const int64_t steps = (s.k + product->k_per_step - 1) / product->k_per_step;
    product->multiply(left_panels, right_panels, s.m, s.n, steps, 0.5, 1, c, s.n);
    keep(to, name, s.k, c, is_double, (size_t)(s.m * s.n), is_double ? 1e-12 : 2e-4);
    if (a_is_rows && product->storage == storage) {
      product->multiply_in_place(&left, 0, 0, right_panels, s.m, s.n, steps, 0.5, 0, c, s.n);
      keep(to, name, s.k, c, is_double, (size_t)(s.m * s.n), is_double ? 1e-12 : 2e-4);
    }
    free(left_panels), free(right_panels), free(a), free(b), free(c);
  }
}

static void run_gemv(recorder *to, const trestle_matrix_kernels *kernels, int is_double, shape s) {
  const size_t size = is_double ? 8 : 4;
  for (int is_rows = 0; is_rows < 2; is_rows++) {
    void *x = zeroed(s.m * s.k, size), *w = zeroed(s.n * s.k, size), *c = zeroed(s.m * s.n, size);
    make_numbers(x, is_double, (size_t)(s.m * s.k), 41, -2, 2);
    make_numbers(w, is_double, (size_t)(s.n * s.k), 42, -2, 2);
    const trestle_gemv product = {
      .x = x, .ldx = s.k, .rows = s.m, .k = s.k, .alpha = 0.5, .accumulate = 0, .c = c, .c_row = s.n, .c_column = 1,
      .w = {w, is_rows ? s.k : s.n, is_double ? TRESTLE_F64 : TRESTLE_F32, is_rows},
    };
    (is_double ? kernels->gemv_f64 : kernels->gemv_f32)(&product, 0, s.n);
    keep(to, "gemv", s.k, c, is_double, (size_t)(s.m * s.n), is_double ? 1e-12 : 1e-4);
    free(x), free(w), free(c);
  }
}

// The bytes of a block, the numbers in it, and where its scales in half precision lie.
typedef struct {
  int storage;
  int64_t bytes, numbers, scale, minimum;
} format;
static const format formats[] = {
  {TRESTLE_Q8_0, 34, 32, 0, 0},    {TRESTLE_Q4_0, 18, 32, 0, 0},    {TRESTLE_Q4_1, 20, 32, 0, 2},
  {TRESTLE_Q5_0, 22, 32, 0, 0},    {TRESTLE_Q5_1, 24, 32, 0, 2},    {TRESTLE_Q4_K, 144, 256, 0, 2},
  {TRESTLE_Q5_K, 176, 256, 0, 2},  {TRESTLE_Q6_K, 210, 256, 208, 208}, {TRESTLE_Q2_K, 84, 256, 80, 82},
  {TRESTLE_Q3_K, 110, 256, 108, 108}, {TRESTLE_IQ4_NL, 18, 32, 0, 0},  {TRESTLE_IQ4_XS, 136, 256, 0, 0},
  {TRESTLE_MXFP4, 17, 32, -1, -1}, {TRESTLE_Q8_K, 292, 256, 2, 2},
};

static void run_blocks(recorder *to, const trestle_matrix_kernels *kernels) {
  enum { K = 512, LINES = 24, ROWS = 5 };
  float x[ROWS * K], c[ROWS * LINES], numbers[K];
  make_numbers(x, 0, ROWS * K, 51, -2, 2);
  static int8_t values[ROWS * K];
  static float scales[ROWS * K / 32], half_sums[ROWS * K / 16];
  kernels->quantize_rows(x, K, ROWS, K, values, scales, half_sums);
  int32_t integers[ROWS * K];
  for (int i = 0; i < ROWS * K; i++) integers[i] = values[i];
  keep_integers(to, "quantize_rows", K, integers, ROWS * K);
  keep(to, "quantize_rows", K, scales, 0, ROWS * K / 32, 1e-6);
  keep(to, "quantize_rows", K, half_sums, 0, ROWS * K / 16, 1e-5);

  for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
    const format t = formats[f];
    const int64_t row_bytes = K / t.numbers * t.bytes;
    uint8_t *w = zeroed(LINES * row_bytes, 1);
    uint64_t state = 61 + f;
    for (int64_t i = 0; i < LINES * row_bytes; i++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      w[i] = (uint8_t)(state >> 56);
    }
    // Scales of moderate size.
    for (int64_t block = 0; block < LINES * row_bytes; block += t.bytes) {
      w[block + t.minimum + 1] = t.storage == TRESTLE_MXFP4 ? 0x7C : t.storage == TRESTLE_Q8_K ? 0x3C : 0x2B;
      if (t.minimum != t.scale) w[block + t.scale + 1] = 0x2A;
    }
    for (int line = 0; line < 2; line++) {
      kernels->dequantize(t.storage, w + line * row_bytes, 0, K, numbers);
      keep(to, "dequantize", t.storage, numbers, 0, K, 1e-6);
    }
    static float sums[ROWS * K / 16];
    kernels->sum_halves(x, K, ROWS, K, sums);
    trestle_gemv product = {
      .x = x, .ldx = K, .half_sums = sums, .rows = ROWS, .k = K, .alpha = 1, .accumulate = 0, .c = c, .c_row = LINES, .c_column = 1,
      .w = {w, row_bytes, t.storage, 1},
    };
    kernels->gemv_f32(&product, 0, LINES);
    keep(to, "gemv of blocks", t.storage, c, 0, ROWS * LINES, 2e-3);
    const trestle_int8_rows rows = {values, scales, half_sums};
    product.x = NULL;
    kernels->gemv_int8(&product, &rows, 0, LINES);
    keep(to, "gemv int8", t.storage, c, 0, ROWS * LINES, 2e-3);
    free(w);
  }
}

void run_matrices(recorder *to, int level) {
  const trestle_matrix_kernels *kernels = trestle_matrix_table(level);
  if (!kernels) {
    fprintf(stderr, "no matrix kernels for level %d\n", level);
    exit(2);
  }
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    run_product(to, "product f32", &kernels->f32, TRESTLE_F32, shapes[i]);
    run_product(to, "product f64", &kernels->f64, TRESTLE_F64, shapes[i]);
    run_product(to, "product bf16", &kernels->bf16, TRESTLE_F32, shapes[i]);
    for (int is_double = 0; is_double < 2; is_double++) run_gemv(to, kernels, is_double, shapes[i]);
  }
  run_blocks(to, kernels);
}
