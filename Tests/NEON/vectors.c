// Every kernel of the tables of trestle_kernels, and the conversions.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CTrestleKernels.h"
#include "recorder.h"

enum { LARGEST = 1000, ROWS = 5 };
static const int64_t sizes[] = {0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, LARGEST};

// The inputs of one size and the place for outputs, all of one type at addresses that only fit the element.
typedef struct {
  const trestle_kernels *kernels;
  recorder *to;
  int is_double;
  double tolerance;
  int64_t n;
  void *a, *b, *positive, *out, *out2, *out3;
} scene;

static void *array(size_t count, int is_double, uint64_t seed, double low, double high) {
  const size_t size = is_double ? 8 : 4;
  char *memory = calloc(count + 1, size);
  if (!memory) exit(2);
  make_numbers(memory + size, is_double, count, seed, low, high);
  return memory + size;
}
static void *element(const scene *s, void *array, int64_t index) {
  return (char *)array + index * (s->is_double ? 8 : 4);
}
static void save(const scene *s, const char *name, const void *numbers, int64_t count) {
  keep(s->to, name, s->n, numbers, s->is_double, (size_t)count, s->tolerance);
}
static void save_number(const scene *s, const char *name, double number) {
  keep(s->to, name, s->n, &number, 1, 1, s->tolerance * 100);
}

static void run_elementwise(const scene *s) {
  char name[32];
  for (int f = 0; f < TRESTLE_UNARY_COUNT; f++) {
    const int is_positive = f == TRESTLE_LOG || f == TRESTLE_SQRT || f == TRESTLE_RSQRT || f == TRESTLE_RECIPROCAL;
    void *x = is_positive ? s->positive : s->a;
    snprintf(name, sizeof name, "unary %d", f);
    s->kernels->unary[f](x, s->out, s->n);
    save(s, name, s->out, s->n);
    s->kernels->unary_backward[f](x, s->out, s->b, s->out2, s->n);
    snprintf(name, sizeof name, "unary gradient %d", f);
    save(s, name, s->out2, s->n);
  }
  for (int f = 0; f < TRESTLE_BINARY_COUNT; f++) {
    snprintf(name, sizeof name, "binary %d", f);
    s->kernels->binary[f](s->a, s->positive, s->out, s->n);
    save(s, name, s->out, s->n);
    s->kernels->binary_scalar[f](s->a, 1.5, s->out, s->n);
    save(s, name, s->out, s->n);
    s->kernels->scalar_binary[f](1.5, s->positive, s->out, s->n);
    save(s, name, s->out, s->n);
    s->kernels->binary_row[f](s->a, s->positive, s->out, ROWS, s->n);
    save(s, name, s->out, ROWS * s->n);
    s->kernels->binary_column[f](s->a, s->positive, s->out, ROWS, s->n);
    save(s, name, s->out, ROWS * s->n);
  }
  for (int f = 0; f < TRESTLE_COMPARISON_COUNT; f++) {
    snprintf(name, sizeof name, "comparison %d", f);
    s->kernels->compare[f](s->a, s->b, s->out, s->n);
    save(s, name, s->out, s->n);
    s->kernels->select(s->out, s->a, s->b, s->out2, s->n);
    save(s, "select", s->out2, s->n);
  }
  s->kernels->clamp(s->a, -1, 0.5, s->out, s->n);
  save(s, "clamp", s->out, s->n);
  s->kernels->axpy(0.5, s->b, s->out, s->n);
  save(s, "axpy", s->out, s->n);
  s->kernels->linear_combination(2, s->a, -0.5, s->b, s->out, s->n);
  save(s, "linear_combination", s->out, s->n);
  s->kernels->fill(1.25, s->out, s->n);
  save(s, "fill", s->out, s->n);
  s->kernels->power(s->positive, 1.7, s->out, s->n);
  save(s, "power", s->out, s->n);
  s->kernels->swiglu(s->a, s->b, s->out, s->n);
  save(s, "swiglu", s->out, s->n);
  s->kernels->swiglu_backward(s->a, s->b, s->positive, s->out, s->out2, s->n);
  save(s, "swiglu_backward", s->out, s->n);
  save(s, "swiglu_backward", s->out2, s->n);
  s->kernels->bpr(s->a, s->b, s->out, s->out2, s->n);
  save(s, "bpr", s->out, s->n);
  save(s, "bpr", s->out2, s->n);
}

static void run_reductions(const scene *s) {
  const trestle_kernels *k = s->kernels;
  save_number(s, "sum", k->sum(s->a, s->n));
  save_number(s, "sum_squares", k->sum_squares(s->a, s->n));
  save_number(s, "find_nonfinite", (double)k->find_nonfinite(s->a, s->n));
  k->column_sum(s->a, s->n, s->out, ROWS, s->n, 0);
  save(s, "column_sum", s->out, s->n);
  if (s->n == 0) return;
  k->row_sum(s->a, s->out, ROWS, s->n);
  keep(s->to, "row_sum", s->n, s->out, s->is_double, ROWS, s->tolerance * 30);
  k->row_dot(s->a, s->b, s->out, ROWS, s->n);
  keep(s->to, "row_dot", s->n, s->out, s->is_double, ROWS, s->tolerance * 30);
  k->row_norm(s->a, s->out, ROWS, s->n);
  save(s, "row_norm", s->out, ROWS);
  k->row_max(s->a, s->out, ROWS, s->n);
  save(s, "row_max", s->out, ROWS);
  k->row_min(s->a, s->out, ROWS, s->n);
  save(s, "row_min", s->out, ROWS);
  int32_t index[LARGEST];
  k->row_argmax(s->a, index, ROWS, s->n);
  keep_integers(s->to, "row_argmax", s->n, index, ROWS);
  k->top_k(s->a, s->n, (s->n + 1) / 2, s->out, index);
  keep_integers(s->to, "top_k", s->n, index, (size_t)(s->n + 1) / 2);
  save(s, "top_k", s->out, (s->n + 1) / 2);
}

static void run_rows(const scene *s) {
  const trestle_kernels *k = s->kernels;
  const int64_t n = s->n, all = ROWS * s->n;
  if (n == 0) return;
  k->softmax(s->a, s->out, ROWS, n);
  save(s, "softmax", s->out, all);
  k->softmax_backward(s->out, s->b, s->out2, ROWS, n);
  save(s, "softmax_backward", s->out2, all);
  k->log_softmax(s->a, s->out, ROWS, n);
  save(s, "log_softmax", s->out, all);
  k->log_softmax_backward(s->out, s->b, s->out2, ROWS, n);
  keep(s->to, "log_softmax_backward", n, s->out2, s->is_double, (size_t)all, s->tolerance * 30);
  k->log_sum_exp(s->a, s->out, ROWS, n);
  save(s, "log_sum_exp", s->out, ROWS);
  const int32_t labels[ROWS] = {0, (int32_t)n - 1, -1, (int32_t)n / 2, 0};
  k->cross_entropy(s->a, labels, s->out, s->out2, ROWS, n);
  save(s, "cross_entropy", s->out, ROWS);
  k->cross_entropy_backward(s->a, labels, s->out2, s->b, s->out, ROWS, n);
  save(s, "cross_entropy_backward", s->out, all);

  void *mean = s->out2, *rstd = element(s, s->out2, ROWS), *dgamma = element(s, s->out2, 2 * ROWS);
  void *dbeta = element(s, dgamma, n);
  k->fill(0.5, dgamma, 2 * n);
  k->layer_norm(s->a, s->positive, s->b, s->out, mean, rstd, ROWS, n, 1e-2);
  save(s, "layer_norm", s->out, all);
  k->layer_norm_backward(s->a, s->positive, mean, rstd, s->b, s->out, dgamma, dbeta, ROWS, n);
  save(s, "layer_norm_backward", s->out, all);
  save(s, "layer_norm_backward", dgamma, 2 * n);
  k->rms_norm(s->a, s->positive, s->out, rstd, ROWS, n, 1e-2);
  save(s, "rms_norm", s->out, all);
  k->rms_norm_backward(s->a, s->positive, rstd, s->b, s->out, dgamma, ROWS, n);
  save(s, "rms_norm_backward", s->out, all);
  save(s, "rms_norm_backward", dgamma, n);
}

static void run_indexing(const scene *s) {
  const trestle_kernels *k = s->kernels;
  const int64_t n = s->n;
  enum { PICKED = 9 };
  const int32_t index[PICKED] = {4, 0, 3, 3, 1, 2, 0, 4, 4};
  k->gather_rows(s->a, n, index, s->out, PICKED, n);
  save(s, "gather_rows", s->out, PICKED * n);
  k->fill(1, s->out2, ROWS * n);
  k->scatter_add_rows(s->out, index, 0.5, s->out2, PICKED, n, 0, 3);
  int32_t order[PICKED];
  int64_t start[3];
  trestle_bucket_positions(index, PICKED, 3, 2, order, start);
  k->scatter_add_ordered(s->out, index, order, 0.5, s->out2, start[1], start[2], n);
  save(s, "scatter_add", s->out2, ROWS * n);
  const int64_t rows[ROWS + 1] = {0, 2, 2, 5, 6, PICKED};
  k->csr_times_dense(rows, index, s->b, s->a, s->out2, 0, ROWS, n, 1);
  save(s, "csr_times_dense", s->out2, ROWS * n);

  const int64_t shape[4] = {1, 1, n, ROWS}, strides[4] = {0, 0, 1, n};
  k->copy_strided(s->a, s->out, shape, strides);
  save(s, "copy_strided", s->out, ROWS * n);

  const int64_t rotated = n / 2 * 2;
  for (int is_half_split = 0; is_half_split < 2; is_half_split++) {
    k->rotary(s->a, n, s->b, s->positive, s->out, n, 2, 1, n, rotated, is_half_split, 1);
    save(s, "rotary", s->out, 2 * n);
  }
}

static void run_optimizers(const scene *s) {
  const trestle_kernels *k = s->kernels;
  const int64_t n = s->n;
  k->linear_combination(1, s->a, 0, s->a, s->out, n);
  k->fill(0, s->out2, n);
  k->fill(0, s->out3, n);
  for (int step = 1; step <= 3; step++) {
    k->sgd(s->out, s->b, s->out2, n, 0.05, 0.9, 0.1, 0.01, step == 2, step == 1);
    save(s, "sgd", s->out, n);
  }
  k->fill(0, s->out2, n);
  for (int step = 1; step <= 3; step++) {
    k->adam(s->out, s->b, s->out2, s->out3, n, 0.01, 0.9, 0.99, 1e-6, 0.1, step == 2, 0.1 * step, 0.01 * step, 0.5);
    save(s, "adam", s->out, n);
  }
  const int32_t index[3] = {4, 0, 3};
  k->linear_combination(1, s->a, 0, s->a, s->out, ROWS * n);
  k->fill(0, s->out2, ROWS * n);
  k->fill(0, s->out3, ROWS * n);
  for (int step = 1; step <= 2; step++) {
    k->adam_rows(s->out, s->b, s->out2, s->out3, index, 3, n, 0.01, 0.9, 0.99, 1e-6, 0.1, step == 2, 0.1 * step,
                 0.01 * step, 0.5);
    save(s, "adam_rows", s->out, ROWS * n);
    save(s, "adam_rows moments", s->out3, ROWS * n);
  }
}

static void run_ranking(const scene *s) {
  enum { TRIPLES = 8 };
  const int32_t user[TRIPLES] = {0, 4, 2, 2, 1, 3, 0, 4};
  const int32_t positive[TRIPLES] = {1, 0, 4, 3, 3, 2, 4, 4}, negative[TRIPLES] = {4, 2, 0, 0, 1, 4, 1, 3};
  s->kernels->triple_scores(s->a, s->b, user, positive, negative, s->out, s->out2, TRIPLES, s->n);
  keep(s->to, "triple_scores", s->n, s->out, s->is_double, TRIPLES, s->tolerance * 100);
  keep(s->to, "triple_scores", s->n, s->out2, s->is_double, TRIPLES, s->tolerance * 100);
}

// What array libraries do: on 15 or 16 rows, which are whole vectors of rows and a rest.
static void run_arrays(const scene *s) {
  enum { LINES = 16, PICKED = 3, WINDOWS = 6 };
  const trestle_kernels *k = s->kernels;
  const int64_t n = s->n;
  if (n == 0) return;
  for (int reversed = 0; reversed < 2; reversed++) {
    k->cumulative_sum(s->a, s->out, LINES - 1, n, reversed);
    save(s, "cumulative_sum", s->out, (LINES - 1) * n);
    k->cumulative_sum_columns(s->a, s->out, n, LINES, n, reversed);
    save(s, "cumulative_sum_columns", s->out, LINES * n);
  }
  int32_t index[2 * PICKED], where[LINES * LARGEST];
  for (int i = 0; i < 2 * PICKED; i++) index[i] = (int32_t)(7 * i % n);
  k->gather_along(s->a, index, s->out, 2, n, PICKED);
  save(s, "gather_along", s->out, 2 * PICKED);
  k->scatter_add_along(s->a, index, s->out, 2, n, PICKED);
  save(s, "scatter_add_along", s->out, 2 * n);
  const int64_t shape[4] = {1, 1, 1, n}, strides[4] = {0, 0, 0, -1};
  k->copy_strided(element(s, s->a, n - 1), s->out, shape, strides);
  save(s, "copy_strided backwards", s->out, n);
  int64_t place[LARGEST];
  const int64_t step[3] = {0, 1, n};
  for (int spread = 1; spread <= 2; spread++) {
    for (int64_t i = 0; i < n; i++) place[i] = i * spread;
    k->unfold(s->a, step, 3, place, n, s->out, (n + 15) / 16 * 16);
    save(s, "unfold", s->out, 3 * ((n + 15) / 16 * 16));
    if (n < WINDOWS) continue;
    const int64_t rows = (LINES - 3) / spread + 1, columns = (n - 2) / spread + 1;
    k->max_pool(s->a, n, s->out, where, rows, columns, 3, 2, spread, spread);
    save(s, "max_pool", s->out, rows * columns);
    keep_integers(s->to, "max_pool", n, where, (size_t)(rows * columns));
  }
  const int64_t size = n < 100 ? n : 100;
  if (!s->is_double) return;
  // Rows of numbers about 0, and on the diagonal one that outweighs them.
  k->linear_combination(0.01, s->a, 0, s->a, s->out, size * size);
  for (int64_t i = 0; i < size; i++) ((double *)s->out)[i * size + i] = 9 + (double)i / 100;
  k->linear_combination(1, s->out, 0, s->out, s->out2, size * size);
  k->linear_combination(1, s->b, 0, s->b, s->out3, PICKED * size);
  const double outcome[2] = {k->cholesky(s->out, size), k->solve(s->out2, s->out3, size, PICKED)};
  save(s, "systems", outcome, 2);
  save(s, "cholesky", s->out, size * size);
  save(s, "solve", s->out3, PICKED * size);
  k->solve_triangular(s->out, s->out3, size, PICKED, 1);
  save(s, "solve_triangular", s->out3, PICKED * size);
}

typedef struct {
  int64_t queries, keys, size, offset, window;
  int causal;
} attention_shape;

static void run_attention(scene *s) {
  const trestle_kernels *k = s->kernels;
  static const attention_shape shapes[] = {
    {1, 1, 1, 0, 0, 1}, {7, 7, 16, 0, 0, 1}, {65, 65, 33, 0, 0, 1}, {1, 130, 64, 129, 0, 1},
    {5, 70, 7, 0, 0, 0}, {40, 40, 24, 0, 17, 1}, {5, 64, 16, -2, 0, 1},
  };
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    const attention_shape t = shapes[i];
    const int64_t d = t.size, q_count = t.queries * d, k_count = t.keys * d;
    void *q = array((size_t)q_count, s->is_double, 1, -2, 2), *keys = array((size_t)k_count, s->is_double, 2, -2, 2);
    void *v = array((size_t)k_count, s->is_double, 3, -2, 2), *d_o = array((size_t)q_count, s->is_double, 4, -2, 2);
    void *o = array((size_t)q_count, s->is_double, 5, 0, 1), *dq = array((size_t)q_count, s->is_double, 5, 0, 1);
    void *dk = array((size_t)k_count, s->is_double, 6, 0, 1), *dv = array((size_t)k_count, s->is_double, 7, 0, 1);
    void *lse = array((size_t)t.queries, s->is_double, 8, 0, 1);
    void *workspace = array((size_t)k->attention_workspace(t.queries, t.keys, d), s->is_double, 9, 0, 1);
    const trestle_dropout rates = {0x123456789abcdefu, 1u << 30, 4.0 / 3}, *dropout = i % 2 ? &rates : NULL;
    k->attention(q, d, keys, d, v, d, o, d, lse, t.queries, t.keys, d, 0.25, t.causal, t.offset, t.window, dropout,
                 workspace);
    k->attention_backward(q, d, keys, d, v, d, o, d, lse, d_o, d, dq, d, dk, d, dv, d, t.queries, t.keys, d, 0.25,
                          t.causal, t.offset, t.window, dropout, workspace);
    s->n = (int64_t)i;
    void *results[] = {o, dq, dk, dv};
    for (int r = 0; r < 4; r++)
      keep(s->to, "attention", s->n, results[r], s->is_double, (size_t)(r < 2 ? q_count : k_count), s->tolerance * 30);
    void *memory[] = {q, keys, v, d_o, o, dq, dk, dv, lse, workspace};
    for (int m = 0; m < 10; m++) free(element(s, memory[m], -1));
  }
}

void run_vectors(recorder *to, int level, int is_double) {
  scene s = {.kernels = trestle_kernels_table((trestle_level)level, is_double), .to = to, .is_double = is_double};
  s.tolerance = is_double ? 1e-13 : 3e-6;
  const size_t count = 16 * LARGEST;
  s.a = array(count, is_double, 11, -4, 4);
  s.b = array(count, is_double, 12, -4, 4);
  s.positive = array(count, is_double, 13, 0.1, 3);
  s.out = array(count, is_double, 14, 0, 1);
  s.out2 = array(count, is_double, 15, 0, 1);
  s.out3 = array(count, is_double, 16, 0, 1);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    s.n = sizes[i];
    run_elementwise(&s);
    run_reductions(&s);
    run_rows(&s);
    run_indexing(&s);
    run_optimizers(&s);
    run_ranking(&s);
    run_arrays(&s);
  }
  run_attention(&s);
  void *memory[] = {s.a, s.b, s.positive, s.out, s.out2, s.out3};
  for (int m = 0; m < 6; m++) free(element(&s, memory[m], -1));
}

void run_conversions(recorder *to, int level) {
  const trestle_conversions *c = trestle_conversions_table((trestle_level)level);
  static float x[LARGEST], back[LARGEST];
  static double wide[LARGEST];
  static uint16_t narrow[LARGEST];
  make_numbers(x, 0, LARGEST, 21, -70000, 70000);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    const int64_t n = sizes[i];
    c->float_to_bf16(x, narrow, n);
    c->bf16_to_float(narrow, back, n);
    keep(to, "bf16", n, back, 0, (size_t)n, 0);
    c->float_to_half(x, narrow, n);
    c->half_to_float(narrow, back, n);
    keep(to, "half", n, back, 0, (size_t)n, 0);
    c->float_to_double(x, wide, n);
    keep(to, "float_to_double", n, wide, 1, (size_t)n, 0);
    c->double_to_float(wide, back, n);
    keep(to, "double_to_float", n, back, 0, (size_t)n, 0);
    const int32_t index[2] = {1, 0};
    c->float_to_bf16(x, narrow, n);
    c->gather_rows_bf16(narrow, n / 2, index, back, 2, n / 2);
    keep(to, "gather_rows_bf16", n, back, 0, (size_t)(n / 2 * 2), 0);
  }
}
