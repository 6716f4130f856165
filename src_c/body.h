/* The kernels of one SIMD target for one REAL. Included by each file of targets/, with TARGET_NAME defined and the target's
 * simd header before it; ends with the table. REAL_BITS, 32 or 64, comes from the command that compiles the file, once for
 * each. */
#include <math.h>
#include <string.h>

#include "fastrnn.h"

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)
#define CAT3_(a, b, c) a##b##c
#define CAT3(a, b, c) CAT3_(a, b, c)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

#ifndef REAL_BITS
#error "compile with -DREAL_BITS=32 and with -DREAL_BITS=64"
#elif REAL_BITS == 32
#define REAL float
#define V(op) f32_##op
#define M(name) m32_##name
#define LANES F32_LANES
#else
#define REAL double
#define V(op) f64_##op
#define M(name) m64_##name
#define LANES F64_LANES
#endif

#ifndef INLINE
#define INLINE static inline __attribute__((always_inline))
#endif

#include "vmath.h"

#include "tile.h"

#include "panels.h"

#include "product.h"

#include "outer.h"

#include "cells/step.h"

#include "cells/rnn.h"

#include "cells/lstm.h"

#include "cells/gru.h"

#include "sweeps.h"

#include "updates.h"

extern const fr_kernels CAT3(fr_, TARGET_NAME, CAT(_, REAL_BITS));
const fr_kernels CAT3(fr_, TARGET_NAME, CAT(_, REAL_BITS)) = {
    .target = TEXT(TARGET_NAME),
    .itemsize = sizeof(REAL),
    .lanes = LANES,
    .unit_vectors = {0, UNIT_VECTORS(1), UNIT_VECTORS(2), UNIT_VECTORS(3), UNIT_VECTORS(4)},
    .pack = M(pack),
    .product = M(product),
    .outer_units = OUTER_VECTORS * LANES,
    .joined_bytes = JOINED_BYTES,
    .pack_right = M(pack_right),
    .outer = M(outer),
    .dot_columns = M(dot_columns),
    .forward = {M(rnn_forward), M(lstm_forward), M(gru_forward), M(gru_reset_forward),
                M(gru_before_forward)},
    .backward = {M(rnn_backward), M(lstm_backward), M(gru_backward), M(gru_reset_backward),
                 M(gru_before_backward)},
    .map = M(map_flat),
    .multiply = M(multiply),
    .add = M(add),
    .add_product = M(add_product),
    .scale = M(scale),
    .sum_of_squares = M(sum_of_squares),
    .squared_error = M(squared_error),
    .rules = M(rules),
    .softmax_cross_entropy = M(softmax_cross_entropy),
    .fma_burn = M(fma_burn),
};
