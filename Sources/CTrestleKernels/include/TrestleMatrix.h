// Matrix products: the part of the kernels that packs operands and multiplies blocks. Included by CTrestleKernels.h.
//
// A product c[m, n] = op(a) op(b) is computed from panels. A panel holds a fixed number of LINES (rows of op(a), or
// columns of op(b)) over a range of k, stored k by k: panel[k][line]. One table entry packs lines into panels, another
// multiplies panels tile by tile. Every element of c is one chain of fused multiply-adds over ascending k within a
// range of k, whatever the tile, so it does not depend on how rows and columns were split over calls.
#ifndef TRESTLE_MATRIX_H
#define TRESTLE_MATRIX_H
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

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

// ---- Operands -----------------------------------------------------------------------------------------------------

/// How an operand's numbers are stored. From Q8_0 on: blocks as in GGUF files.
typedef enum trestle_storage {
  TRESTLE_F32, TRESTLE_F64, TRESTLE_BF16,
  TRESTLE_Q8_0, TRESTLE_Q4_0, TRESTLE_Q4_1, TRESTLE_Q5_0, TRESTLE_Q5_1, TRESTLE_IQ4_NL, TRESTLE_MXFP4,
  // From here on a block has 256 numbers, before it 32.
  TRESTLE_Q4_K, TRESTLE_Q5_K, TRESTLE_Q6_K, TRESTLE_Q2_K, TRESTLE_Q3_K, TRESTLE_Q8_K, TRESTLE_IQ4_XS,
  TRESTLE_STORAGE_COUNT
} trestle_storage;

/// One factor of a product. Element k of line l is data[l * stride + k] if k_is_contiguous, else data[k * stride + l];
/// stride counts elements, or bytes per row of blocks for the block formats.
typedef struct trestle_operand {
  const void *data;
  int64_t stride;
  int32_t storage;  // trestle_storage
  int32_t k_is_contiguous;
} trestle_operand;

enum {
  /// The longest range of k that can be packed at once.
  TRESTLE_MAXIMUM_K = 512,
  /// Where lines are contiguous, block formats are packed this many lines at a time: a multiple of every block size
  /// and of every panel.
  TRESTLE_LINE_GROUP = 768,
};

// ---- Tiled products -----------------------------------------------------------------------------------------------

/// The kernels of one arithmetic. A step of k is one k, or a pair of them where `k_per_step` is 2; panels are counted
/// in steps. An odd k is padded with zero.
typedef struct trestle_product_kernels {
  int64_t tile_rows;       // lines in a panel of a
  int64_t tile_columns;    // lines in a panel of b
  int64_t lanes;           // the last panel of b is only as wide as the next multiple of this
  int64_t k_per_step;
  int64_t longest_k;       // the longest range of k to pack, so that a panel of b stays in the first cache; a multiple of 32
  int64_t bytes_per_step;  // of one line in a panel
  int64_t storage;         // trestle_storage of what multiply_in_place reads; TRESTLE_STORAGE_COUNT if it reads none
  // Packs `lines` lines from first_line on over k in [first_k, first_k + k) into panels of tile_rows lines (side 0) or
  // tile_columns lines (side 1), `panel_steps` long, from step first_step on; lines that are missing in the last panel
  // are zero. k <= TRESTLE_MAXIMUM_K.
  // For block formats, first_k (k_is_contiguous) or first_line (else) is a multiple of the block size.
  void (*pack)(const trestle_operand *source, int64_t first_line, int64_t lines, int64_t first_k, int64_t k, int side,
               void *panels, int64_t panel_steps, int64_t first_step);
  // c[rows, columns] = alpha * panels of a * panels of b (+ c if accumulate)
  void (*multiply)(const void *a_panels, const void *b_panels, int64_t rows, int64_t columns, int64_t steps,
                   double alpha, int accumulate, void *c, int64_t ldc);
  // The same with a read in place; the storage must be the one that panels hold.
  void (*multiply_in_place)(const trestle_operand *a, int64_t first_row, int64_t first_k, const void *b_panels,
                            int64_t rows, int64_t columns, int64_t steps, double alpha, int accumulate, void *c,
                            int64_t ldc);
} trestle_product_kernels;

// ---- GEMV ----------------------------------------------------------------------------------------------------------

/// GEMV, for up to eight rows of x:
/// c[i * c_row + j * c_column] = alpha * sum over k of x[i, k] w(k, line j) (+ c), for the given lines of w, reading w
/// once for every four rows of x. x and c are of one type (float, or double with TRESTLE_F64); w is of that type, or,
/// beside float, bfloat16 or (k_is_contiguous) blocks.
typedef struct trestle_gemv {
  const void *x;  // [rows, k], row stride ldx
  int64_t ldx;
  const float *_Nullable half_sums;  // sum_halves of x; read beside blocks alone
  int64_t rows;
  int64_t k;
  trestle_operand w;
  double alpha;
  int accumulate;
  void *c;
  int64_t c_row;
  int64_t c_column;
} trestle_gemv;

/// Rows of activations in 8 bits: groups of 32 numbers with a scale, number = scale * value. half_sums holds, for each
/// 16 numbers, scale * the sum of the values.
typedef struct trestle_int8_rows {
  const int8_t *values;    // [rows, k]
  const float *scales;     // [rows, k / 32]
  const float *half_sums;  // [rows, k / 16]
} trestle_int8_rows;

// ---- The table of one level -----------------------------------------------------------------------------------------

typedef struct trestle_matrix_kernels {
  trestle_product_kernels f32;
  trestle_product_kernels f64;
  trestle_product_kernels bf16;  // factors rounded to bfloat16, sums in float
  // The lines of w in [first_line, first_line + lines).
  void (*gemv_f32)(const trestle_gemv *product, int64_t first_line, int64_t lines);
  void (*gemv_f64)(const trestle_gemv *product, int64_t first_line, int64_t lines);
  // sums[rows, k / 16]: the sums of every sixteen numbers of x[rows, k], k a multiple of 16.
  void (*sum_halves)(const float *x, int64_t ldx, int64_t rows, int64_t k, float *sums);
  // Quantises x[rows, k], k a multiple of 32: scale = largest magnitude / 127, values rounded to nearest. A group with a
  // NaN or an infinity has the scale NaN.
  void (*quantize_rows)(const float *x, int64_t ldx, int64_t rows, int64_t k, int8_t *values, float *scales,
                        float *half_sums);
  // The product of x, in place of product->x, with w in blocks; dot products of integers.
  void (*gemv_int8)(const trestle_gemv *product, const trestle_int8_rows *x, int64_t first_line, int64_t lines);
  // out[i] = element first + i of a row of blocks; first and count are multiples of the block size
  void (*dequantize)(int storage, const void *row, int64_t first, int64_t count, float *out);
} trestle_matrix_kernels;

/// The table of `level` (a trestle_level), with the variants that this machine has; NULL if the level is unavailable.
/// Cheap to call: the machine is asked once.
const trestle_matrix_kernels *_Nullable trestle_matrix_table(int level);

#pragma clang assume_nonnull end

#endif
