// The elementwise functions: the one list that the operation codes, the kernels of every level and the tables follow from.
//
// To add a function, write its line here and the method of `Tensor` that names its code. Included by CTrestleKernels.h.
#ifndef TRESTLE_FUNCTIONS_H
#define TRESTLE_FUNCTIONS_H

/// What the derivative of a function of one variable is computed from, besides the gradient of its output.
typedef enum trestle_reads { TRESTLE_READS_NOTHING, TRESTLE_READS_INPUT, TRESTLE_READS_OUTPUT } trestle_reads;

// Functions of one variable:
//   FUNCTION(code, name, reads, value, slope)
// `value` is f of the vector `a`. `slope` is f' times `g`, the gradient of the output, where `a` is what `reads` says: the
// INPUT, the OUTPUT, or NOTHING. The vector functions are those of bodies/operations/elementwise.inc and the math files.
#define TRESTLE_UNARY_FUNCTIONS(FUNCTION)                                                                                \
  FUNCTION(NEGATE, negate, NOTHING, -a, -g)                                                                             \
  FUNCTION(ABS, absolute, INPUT, F(abs)(a), F(v_sign)(a) * g)                                                           \
  FUNCTION(EXP, exponential, OUTPUT, F(v_exp)(a), a * g)                                                                \
  FUNCTION(LOG, logarithm, INPUT, F(v_log)(a), g / a)                                                                   \
  FUNCTION(SQRT, square_root, OUTPUT, F(sqrt)(a), (T)0.5 * g / a)                                                       \
  FUNCTION(RSQRT, reciprocal_root, OUTPUT, (T)1 / F(sqrt)(a), (T)-0.5 * (a * a * a) * g)                                \
  FUNCTION(RECIPROCAL, reciprocal, OUTPUT, (T)1 / a, -(a * a) * g)                                                      \
  FUNCTION(SQUARE, square, INPUT, a * a, (T)2 * a * g)                                                                  \
  FUNCTION(TANH, hyperbolic_tangent, OUTPUT, F(v_tanh)(a), ((T)1 - a * a) * g)                                          \
  FUNCTION(SIGMOID, sigmoid, OUTPUT, F(v_sigmoid)(a), a * ((T)1 - a) * g)                                               \
  FUNCTION(RELU, rectifier, OUTPUT, F(max_with)(F(splat)(0), a), (a > (T)0 ? g : F(splat)(0)))                          \
  FUNCTION(GELU, gelu, INPUT, F(v_gelu)(a), F(v_gelu_derivative)(a) * g) /* erf form */                                 \
  FUNCTION(GELU_TANH, gelu_tanh, INPUT, F(v_gelu_tanh)(a), F(v_gelu_tanh_derivative)(a) * g)                            \
  FUNCTION(SILU, silu, INPUT, F(v_silu)(a), F(v_silu_derivative)(a) * g)                                                \
  FUNCTION(SOFTPLUS, softplus, INPUT, F(v_softplus)(a), F(v_sigmoid)(a) * g)                                            \
  FUNCTION(SIN, sine, INPUT, F(v_sin)(a), F(v_cos)(a) * g)                                                              \
  FUNCTION(COS, cosine, INPUT, F(v_cos)(a), -F(v_sin)(a) * g)                                                           \
  FUNCTION(LOG_SIGMOID, log_sigmoid, INPUT, -F(v_softplus)(-a), F(v_sigmoid)(-a) * g)                                   \
  FUNCTION(ERF, error_function, INPUT, F(v_erf)(a), (T)1.12837916709551257390 * F(v_exp)(-(a * a)) * g)                 \
  FUNCTION(LOG1P, log_of_one_plus, INPUT, F(v_log_one_plus)(a), g / ((T)1 + a))                                         \
  FUNCTION(EXPM1, exponential_minus_one, OUTPUT, F(v_exp_minus_one)(a), (a + (T)1) * g)                                 \
  FUNCTION(SIGN, sign, NOTHING, F(v_sign)(a), (T)0 * g)                                                                 \
  FUNCTION(FLOOR, floor, NOTHING, __builtin_elementwise_floor(a), (T)0 * g)                                             \
  FUNCTION(CEIL, ceiling, NOTHING, __builtin_elementwise_ceil(a), (T)0 * g)                                             \
  FUNCTION(TRUNCATE, truncate, NOTHING, __builtin_elementwise_trunc(a), (T)0 * g)                                       \
  FUNCTION(ROUND, round, NOTHING, __builtin_elementwise_rint(a), (T)0 * g) /* halves to even */

// Functions of two variables:
//   FUNCTION(code, name, value)
// `value` is f of the vectors `a` and `b`.
#define TRESTLE_BINARY_FUNCTIONS(FUNCTION)        \
  FUNCTION(ADD, add, a + b)                       \
  FUNCTION(SUBTRACT, subtract, a - b)             \
  FUNCTION(MULTIPLY, multiply, a * b)             \
  FUNCTION(DIVIDE, divide, a / b)                 \
  FUNCTION(MAXIMUM, maximum, F(max)(a, b))        \
  FUNCTION(MINIMUM, minimum, F(min)(a, b))        \
  FUNCTION(POWER, power_of, F(v_power)(a, b))     \
  FUNCTION(REMAINDER, remainder_of, F(v_remainder)(a, b)) /* of the sign of b, as Python's % */

// Comparisons, 1 or 0:
//   FUNCTION(code, name, operator)
#define TRESTLE_COMPARISONS(FUNCTION)            \
  FUNCTION(LESS, less, <)                        \
  FUNCTION(LESS_EQUAL, less_equal, <=)           \
  FUNCTION(GREATER, greater, >)                  \
  FUNCTION(GREATER_EQUAL, greater_equal, >=)     \
  FUNCTION(EQUAL, equal, ==)                     \
  FUNCTION(NOT_EQUAL, not_equal, !=)

// ---- What follows from the lists --------------------------------------------------------------------------------------

#define TRESTLE_CODE(code, ...) TRESTLE_##code,
typedef enum trestle_unary { TRESTLE_UNARY_FUNCTIONS(TRESTLE_CODE) TRESTLE_UNARY_COUNT } trestle_unary;
typedef enum trestle_binary { TRESTLE_BINARY_FUNCTIONS(TRESTLE_CODE) TRESTLE_BINARY_COUNT } trestle_binary;
typedef enum trestle_comparison { TRESTLE_COMPARISONS(TRESTLE_CODE) TRESTLE_COMPARISON_COUNT } trestle_comparison;
#undef TRESTLE_CODE

/// What the derivative of `function` is computed from.
trestle_reads trestle_unary_reads(trestle_unary function);
/// The name of a function in the list.
const char *trestle_unary_name(trestle_unary function);
const char *trestle_binary_name(trestle_binary function);

#endif
