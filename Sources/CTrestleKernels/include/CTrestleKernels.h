// The kernels of Trestle: hot loops over plain pointers, compiled once per instruction-set level.
//
// Conventions, for every kernel:
//  - single-threaded; the caller splits the work into fixed output partitions;
//  - sizes and strides are counted in elements (int64_t); row strides are named ld*;
//  - arrays are dense unless a stride is given; pointers need only the element's alignment;
//  - the `void *` arguments of a type's table point to that type (float or double); statistics kept for the backward
//    pass (mean, rstd, lse) have the same type;
//  - a backward kernel ACCUMULATES into gradients named *_acc, and writes (overwrites) all other outputs;
//  - an element's value depends on its row and position only, never on how rows were split over calls.
#ifndef CTRESTLE_KERNELS_H
#define CTRESTLE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "TrestleFunctions.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- Levels -------------------------------------------------------------------------------------------------------

// Every level, from the slowest to the fastest: its constant TRESTLE_LEVEL_… and its name, which ends the symbols of its files
// in levels and matrices. Constants, names and tables follow; dispatch.c says which machines can run it.
#define TRESTLE_LEVELS_OF_X86(LEVEL) \
  LEVEL(AVX2, avx2)                  \
  LEVEL(AVX512, avx512)
#define TRESTLE_LEVELS_OF_ARM(LEVEL) \
  LEVEL(NEON, neon)
#define TRESTLE_LEVELS(LEVEL) LEVEL(PORTABLE, portable) TRESTLE_LEVELS_OF_ARM(LEVEL) TRESTLE_LEVELS_OF_X86(LEVEL)
// Those of the architecture that is compiled for.
#if defined(__x86_64__)
#define TRESTLE_LEVELS_HERE(LEVEL) LEVEL(PORTABLE, portable) TRESTLE_LEVELS_OF_X86(LEVEL)
#elif defined(__aarch64__)
#define TRESTLE_LEVELS_HERE(LEVEL) LEVEL(PORTABLE, portable) TRESTLE_LEVELS_OF_ARM(LEVEL)
#else
#define TRESTLE_LEVELS_HERE(LEVEL) LEVEL(PORTABLE, portable)
#endif

#define LEVEL(constant, name) TRESTLE_LEVEL_##constant,
typedef enum trestle_level { TRESTLE_LEVELS(LEVEL) TRESTLE_LEVEL_COUNT } trestle_level;
#undef LEVEL

/// Whether this build and this machine (processor and operating system) can run `level`.
int trestle_level_is_available(trestle_level level);
/// The best available level.
trestle_level trestle_best_level(void);
/// "portable", "neon", "avx2", "avx512".
const char *trestle_level_name(trestle_level level);
/// Whether the machine has bf16 dot products (AVX512-BF16) / int8 dot products (VNNI, or AVX-VNNI) that `level` uses.
int trestle_level_has_bf16(trestle_level level);
int trestle_level_has_int8(trestle_level level);

// Which probabilities of attention are dropped. Query t and key j have a number of 32 bits, h(h((offset + t) ^ low) + j * 0x9e3779b9
// + high), h being MurmurHash3's finaliser and high and low the halves of the seed; below the threshold the probability becomes 0,
// others are multiplied by the scale.
typedef struct trestle_dropout {
  uint64_t seed;
  uint32_t threshold;
  double scale;
} trestle_dropout;

// ---- The table of one level and one type (float or double) -----------------------------------------------------------

typedef struct trestle_kernels {
  // y[i] = f(x[i]); x == y is allowed.
  void (*unary[TRESTLE_UNARY_COUNT])(const void *x, void *y, int64_t n);
  // dx[i] = f'(x[i]) * dy[i], from the input x and the output y; dx == dy is allowed. Only what trestle_unary_reads says is
  // read; the other may be NULL.
  void (*unary_backward[TRESTLE_UNARY_COUNT])(const void *x, const void *y, const void *dy, void *dx, int64_t n);

  // out[i] = a[i] op b[i]; out may be a or b.
  void (*binary[TRESTLE_BINARY_COUNT])(const void *a, const void *b, void *out, int64_t n);
  // out[i] = a[i] op s
  void (*binary_scalar[TRESTLE_BINARY_COUNT])(const void *a, double s, void *out, int64_t n);
  // out[i] = s op a[i]
  void (*scalar_binary[TRESTLE_BINARY_COUNT])(double s, const void *a, void *out, int64_t n);
  // out[r, c] = a[r, c] op b[c]
  void (*binary_row[TRESTLE_BINARY_COUNT])(const void *a, const void *b, void *out, int64_t rows, int64_t cols);
  // out[r, c] = a[r, c] op b[r]
  void (*binary_column[TRESTLE_BINARY_COUNT])(const void *a, const void *b, void *out, int64_t rows, int64_t cols);
  // out[i] = a[i] op b[i] ? 1 : 0
  void (*compare[TRESTLE_COMPARISON_COUNT])(const void *a, const void *b, void *out, int64_t n);
  // out[i] = mask[i] != 0 ? a[i] : b[i]
  void (*select)(const void *mask, const void *a, const void *b, void *out, int64_t n);
  // out[i] = x[i] < low ? low : x[i] > high ? high : x[i]
  void (*clamp)(const void *x, double low, double high, void *out, int64_t n);
  // y[i] += s * x[i]
  void (*axpy)(double s, const void *x, void *y, int64_t n);
  // out[i] = a * x[i] + b * y[i]; out may be x or y
  void (*linear_combination)(double a, const void *x, double b, const void *y, void *out, int64_t n);
  void (*fill)(double value, void *out, int64_t n);
  // out[i] = |x[i]|^p style general power x^p (libm accuracy is not required beyond 4 ulp for float)
  void (*power)(const void *x, double p, void *out, int64_t n);

  // out[d0, d1, d2, d3] (dense) = x at strides s0…s3 (any, also 0 or negative)
  void (*copy_strided)(const void *x, void *out, const int64_t shape[4], const int64_t strides[4]);

  // Reductions. The order of additions is fixed by n or cols alone.
  double (*sum)(const void *x, int64_t n);
  double (*sum_squares)(const void *x, int64_t n);
  // out[r] = sum/max/min over c of x[r, c]
  void (*row_sum)(const void *x, void *out, int64_t rows, int64_t cols);
  void (*row_max)(const void *x, void *out, int64_t rows, int64_t cols);
  void (*row_min)(const void *x, void *out, int64_t rows, int64_t cols);
  void (*row_argmax)(const void *x, int32_t *out, int64_t rows, int64_t cols);
  // out[c] = (accumulate ? out[c] : 0) + sum over r of x[r * ldx + c], rows in ascending order
  void (*column_sum)(const void *x, int64_t ldx, void *out, int64_t rows, int64_t cols, int accumulate);
  // out[r] = dot(a[r, :], b[r, :])
  void (*row_dot)(const void *a, const void *b, void *out, int64_t rows, int64_t cols);
  // out[r] = sqrt(sum over c of x[r, c]^2)
  void (*row_norm)(const void *x, void *out, int64_t rows, int64_t cols);

  // Softmax family over the last dimension. Rows that are wholly -inf give softmax 0, log_softmax and log_sum_exp -inf,
  // cross_entropy inf.
  void (*softmax)(const void *x, void *y, int64_t rows, int64_t cols);
  void (*softmax_backward)(const void *y, const void *dy, void *dx, int64_t rows, int64_t cols);
  void (*log_softmax)(const void *x, void *y, int64_t rows, int64_t cols);
  void (*log_softmax_backward)(const void *y, const void *dy, void *dx, int64_t rows, int64_t cols);
  void (*log_sum_exp)(const void *x, void *out, int64_t rows, int64_t cols);
  // loss[r] = lse[r] - x[r, label[r]], 0 where label[r] < 0 (ignored)
  void (*cross_entropy)(const void *x, const int32_t *labels, void *loss, void *lse, int64_t rows, int64_t cols);
  // dx[r, c] = dloss[r] * (exp(x[r, c] - lse[r]) - (c == label[r])), 0 where ignored; dx == x is allowed
  void (*cross_entropy_backward)(const void *x, const int32_t *labels, const void *lse, const void *dloss, void *dx,
                                 int64_t rows, int64_t cols);

  // Normalisation over the last dimension. gamma, beta, the accumulators and, in the forward pass, the
  // statistics may be NULL.
  void (*layer_norm)(const void *x, const void *gamma, const void *beta, void *y, void *mean, void *rstd, int64_t rows,
                     int64_t cols, double epsilon);
  void (*layer_norm_backward)(const void *x, const void *gamma, const void *mean, const void *rstd, const void *dy,
                              void *dx, void *dgamma_acc, void *dbeta_acc, int64_t rows, int64_t cols);
  void (*rms_norm)(const void *x, const void *gamma, void *y, void *rstd, int64_t rows, int64_t cols, double epsilon);
  void (*rms_norm_backward)(const void *x, const void *gamma, const void *rstd, const void *dy, void *dx,
                            void *dgamma_acc, int64_t rows, int64_t cols);

  // out[i] = silu(gate[i]) * up[i]
  void (*swiglu)(const void *gate, const void *up, void *out, int64_t n);
  void (*swiglu_backward)(const void *gate, const void *up, const void *dout, void *dgate, void *dup, int64_t n);

  // out[i, :] = table[index[i], :]
  void (*gather_rows)(const void *table, int64_t ldt, const int32_t *index, void *out, int64_t n, int64_t cols);
  // out[index[i], :] += scale * x[i, :] for the i with row_begin <= index[i] < row_end, i ascending
  void (*scatter_add_rows)(const void *x, const int32_t *index, double scale, void *out_acc, int64_t n, int64_t cols,
                           int64_t row_begin, int64_t row_end);
  // The same for the positions i = order[begin ..< end], in that order. Parallel index-add: group the positions by ranges
  // of output rows with trestle_bucket_positions, then give each thread the buckets of its partition: nobody scans the
  // indices of others, and every row still receives its additions in ascending i.
  void (*scatter_add_ordered)(const void *x, const int32_t *index, const int32_t *order, double scale, void *out_acc,
                              int64_t begin, int64_t end, int64_t cols);
  // out[r, :] (+)= sum over p in [row_start[r], row_start[r+1]) of value[p] * x[column[p], :], for r in [row_begin, row_end)
  void (*csr_times_dense)(const int64_t *row_start, const int32_t *column, const void *value, const void *x, void *out,
                          int64_t row_begin, int64_t row_end, int64_t cols, int accumulate);

  // Rotary embedding of x[tokens, heads, head_size] (row stride ldx per token): angle tables cosines, sines
  // [tokens, rotated / 2]. half_split: pairs are (i, i + rotated/2), else (2i, 2i+1). direction -1 rotates back.
  // Elements from `rotated` on are copied. y == x is allowed; y has row stride ldy.
  void (*rotary)(const void *x, int64_t ldx, const void *cosines, const void *sines, void *y, int64_t ldy, int64_t tokens,
                 int64_t heads, int64_t head_size, int64_t rotated, int half_split, int direction);

  // Attention of ONE sequence and ONE query head: q[q_len, d] (row stride ldq), k, v[k_len, d].
  // Query t sees keys 0 … offset + t when causal (offset = k_len - q_len for a cache), and when window > 0 only the
  // last `window` of those. lse[q_len] is kept for the backward pass (may be NULL). Never stores the score matrix
  // beyond a tile; `workspace` holds attention_workspace(q_len, k_len, d) elements. `dropout` may be NULL; lse is that of all keys.
  int64_t (*attention_workspace)(int64_t q_len, int64_t k_len, int64_t d);
  void (*attention)(const void *q, int64_t ldq, const void *k, int64_t ldk, const void *v, int64_t ldv, void *o, int64_t ldo,
                    void *lse, int64_t q_len, int64_t k_len, int64_t d, double scale, int causal, int64_t offset,
                    int64_t window, const trestle_dropout *dropout, void *workspace);
  // dq is written; dk_acc, dv_acc accumulate (the caller zeroes them, then runs the query heads of one KV head in order).
  void (*attention_backward)(const void *q, int64_t ldq, const void *k, int64_t ldk, const void *v, int64_t ldv,
                             const void *o, int64_t ldo, const void *lse, const void *d_o, int64_t lddo, void *dq,
                             int64_t lddq, void *dk_acc, int64_t lddk, void *dv_acc, int64_t lddv, int64_t q_len,
                             int64_t k_len, int64_t d, double scale, int causal, int64_t offset, int64_t window,
                             const trestle_dropout *dropout, void *workspace);

  // Optimizers, in place over n elements. weight_decay is coupled (L2) in sgd and adam, decoupled in adamw.
  // sgd: g += wd*p; if momentum: m = momentum*m + (first ? 1 : 1 - dampening)*g; g = nesterov ? g + momentum*m : m; p -= lr*g
  void (*sgd)(void *p, const void *g, void *m /* NULL without momentum */, int64_t n, double lr, double momentum,
              double dampening, double weight_decay, int nesterov, int first);
  // adam: m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; p -= lr * (m / bias1) / (sqrt(v / bias2) + eps);
  // bias1 = 1 - b1^t, bias2 = 1 - b2^t are given by the caller; g is multiplied by grad_scale first (clipping)
  void (*adam)(void *p, const void *g, void *m, void *v, int64_t n, double lr, double beta1, double beta2, double epsilon,
               double weight_decay, int decoupled, double bias1, double bias2, double grad_scale);
  // adam of the rows index[i] of p, m and v [., cols] with the rows i of g[n, cols]; no index twice.
  void (*adam_rows)(void *p, const void *g, void *m, void *v, const int32_t *index, int64_t n, int64_t cols, double lr,
                    double beta1, double beta2, double epsilon, double weight_decay, int decoupled, double bias1,
                    double bias2, double grad_scale);

  // The k largest of x[0..<n], in descending order; ties: the lower index first; NaN counts as -inf. k <= n.
  void (*top_k)(const void *x, int64_t n, int64_t k, void *values, int32_t *indices);

  // out[r, i] = x[r, 0] + … + x[r, i], from the last element back if reversed; added up in double, in that order.
  void (*cumulative_sum)(const void *x, void *out, int64_t rows, int64_t length, int reversed);
  // The same down the columns of x and out [length, columns] with row stride `stride`.
  void (*cumulative_sum_columns)(const void *x, void *out, int64_t stride, int64_t length, int64_t columns, int reversed);

  // out[r, c] = x[r, index[r, c]]; x[rows, length], out[rows, cols]
  void (*gather_along)(const void *x, const int32_t *index, void *out, int64_t rows, int64_t length, int64_t cols);
  // out[rows, length] = 0, then out[r, index[r, c]] += x[r, c], c ascending; x[rows, cols]
  void (*scatter_add_along)(const void *x, const int32_t *index, void *out, int64_t rows, int64_t length, int64_t cols);

  // One panel of windows for a product (see TrestleMatrix.h): panel[p, i] = image[step[p] + place[i]] for i < lines, 0 for
  // lines <= i < width.
  void (*unfold)(const void *image, const int64_t *step, int64_t steps, const int64_t *place, int64_t lines, void *panel,
                 int64_t width);
  // The largest element of each window [height, width] of an image with row stride ldx, the first of equal ones or of NaNs:
  // out[rows, cols], and in where[rows, cols], unless it is NULL, its position from x on. Windows lie within the rows.
  void (*max_pool)(const void *x, int64_t ldx, void *out, int32_t *where, int64_t rows, int64_t cols, int64_t height,
                   int64_t width, int64_t row_step, int64_t column_step);

  // Small systems, in place; NULL in the tables of float, which is computed in double.
  // a[n, n] becomes L with L Lᵀ = a, of which the lower triangle is read; 0 if a is not positive definite
  int (*cholesky)(void *a, int64_t n);
  // b[n, cols] becomes L⁻¹ b, or L⁻ᵀ b, where L is the lower triangle of l[n, n]
  void (*solve_triangular)(const void *l, void *b, int64_t n, int64_t cols, int transposed);
  // b[n, cols] becomes a⁻¹ b, by elimination with row exchanges; a[n, n] is lost; 0 if a is singular
  int (*solve)(void *a, void *b, int64_t n, int64_t cols);

  // First index of a NaN or infinity in x, -1 if none.
  int64_t (*find_nonfinite)(const void *x, int64_t n);

  // BPR: loss[i] = softplus(-(pos[i] - neg[i])); d[i] = d loss / d pos = -sigmoid(neg - pos) (d loss / d neg = -d).
  void (*bpr)(const void *positive, const void *negative, void *loss, void *d, int64_t n);
  // wanted[i] = <users[user[i], :], items[positive[i], :]>, other[i] = <users[user[i], :], items[negative[i], :]>
  void (*triple_scores)(const void *users, const void *items, const int32_t *user, const int32_t *positive,
                        const int32_t *negative, void *wanted, void *other, int64_t n, int64_t cols);

  // Multiply-adds in registers alone, to measure the peak of one core: returns the number of operations done, two for each
  // multiply-add of an element; *sink receives a number that depends on all of them.
  int64_t (*peak)(int64_t rounds, double *sink);
} trestle_kernels;

/// Groups the positions 0 ..< n by bucket index[i] / bucket_rows (a stable counting sort): order[n] receives the
/// positions, ascending within a bucket; bucket b is order[bucket_start[b] ..< bucket_start[b + 1]], bucket_start having
/// bucket_count + 1 elements. Every index must lie in 0 ..< bucket_rows * bucket_count.
void trestle_bucket_positions(const int32_t *index, int64_t n, int64_t bucket_rows, int64_t bucket_count, int32_t *order,
                              int64_t *bucket_start);

/// What is sorted.
typedef enum trestle_key { TRESTLE_KEY_F32, TRESTLE_KEY_F64, TRESTLE_KEY_I32, TRESTLE_KEY_I64, TRESTLE_KEY_U8 } trestle_key;

/// The bytes that sorting n elements needs, aligned to 8.
int64_t trestle_sort_workspace(trestle_key key, int64_t n);
/// order[n]: the index of the smallest element of x (of the largest, if descending), of the next, and so on. Equal elements,
/// as 0 and -0 are, keep their order; NaN is above all others.
void trestle_sort_order(trestle_key key, const void *x, int64_t n, int is_descending, int32_t *order, void *workspace);
/// The distinct elements of x, ascending: returns how many there are, with the index of each one's first occurrence and how
/// often it occurs in firsts[n] and counts[n]; positions[n] receives the place of every element among them.
int64_t trestle_unique(trestle_key key, const void *x, int64_t n, int32_t *positions, int32_t *firsts, int32_t *counts,
                       void *workspace);

/// The table of `level` for float (is_double 0) or double (1); NULL if the level is unavailable.
const trestle_kernels *trestle_kernels_table(trestle_level level, int is_double);

// ---- Conversions (one table per level) --------------------------------------------------------------------------------

typedef struct trestle_conversions {
  void (*float_to_bf16)(const float *x, uint16_t *y, int64_t n);  // round to nearest even, NaN stays NaN
  void (*bf16_to_float)(const uint16_t *x, float *y, int64_t n);
  void (*float_to_half)(const float *x, uint16_t *y, int64_t n);
  void (*half_to_float)(const uint16_t *x, float *y, int64_t n);
  void (*float_to_double)(const float *x, double *y, int64_t n);
  void (*double_to_float)(const double *x, float *y, int64_t n);
  // out[i, :] = (float) table[index[i], :]
  void (*gather_rows_bf16)(const uint16_t *table, int64_t ldt, const int32_t *index, float *out, int64_t n, int64_t cols);
} trestle_conversions;

const trestle_conversions *trestle_conversions_table(trestle_level level);

#include "TrestleMatrix.h"

#ifdef __cplusplus
}
#endif
#endif
