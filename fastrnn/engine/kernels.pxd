# src_c/fastrnn.h for Cython: same names, same order.

cdef extern from "fastrnn.h" nogil:
    enum fr_dtype:
        FR_FLOAT32
        FR_FLOAT64

    enum fr_activation:
        FR_TANH
        FR_SIGMOID
        FR_ACTIVATION_COUNT

    enum fr_step_kind:
        FR_STEP_RNN
        FR_STEP_LSTM
        FR_STEP_GRU
        FR_STEP_GRU_RESET
        FR_STEP_GRU_BEFORE

    enum:
        FR_LSTM_I
        FR_LSTM_F
        FR_LSTM_C
        FR_LSTM_O
        FR_GRU_H
        FR_GRU_Z
        FR_GRU_R
        FR_GRU_Q
        FR_BLOCK
        FR_MAX_GROUPS
        FR_MAX_VECTORS
        FR_RAW_ROWS
        FR_MAX_STATES
        FR_MAX_FACTORS

    ctypedef struct fr_product:
        Py_ssize_t rows, k
        const void *const *a
        const void *b
        Py_ssize_t b_row
        const Py_ssize_t *b_start
        Py_ssize_t groups, n, panel0, panel1
        int down
        const void *const *init
        Py_ssize_t init_group
        void *const *c
        Py_ssize_t c_group

    ctypedef struct fr_forward:
        Py_ssize_t rows, units, panel0, panel1
        int down
        int activation, recurrent_activation
        int save
        Py_ssize_t k
        const void *h_in
        Py_ssize_t ld_h_in
        const void *r
        Py_ssize_t r_row
        const Py_ssize_t *r_start
        void *g
        Py_ssize_t ld_g
        const void *x
        Py_ssize_t ld_x, inputs
        const void *w
        const void *bias
        const void *bias_q
        const void *h_prev
        Py_ssize_t ld_h_prev
        const void *c_prev
        Py_ssize_t ld_c_prev
        void *c
        Py_ssize_t ld_c
        void *h
        Py_ssize_t ld_h
        void *y
        const Py_ssize_t *token
        Py_ssize_t ld_y
        const void *peephole
        double clip

    ctypedef struct fr_backward:
        Py_ssize_t rows, units, unit0, unit1
        int activation, recurrent_activation
        void *g
        Py_ssize_t ld_g
        const void *dy
        const Py_ssize_t *token
        Py_ssize_t ld_dy
        void *dh
        Py_ssize_t ld_dh
        const void *const *h_prev
        const void *const *c_prev
        const void *const *c
        void *dc
        Py_ssize_t ld_dc
        const void *drh
        Py_ssize_t ld_drh
        const void *mask
        Py_ssize_t ld_mask
        const void *peephole
        double clip

    ctypedef struct fr_update:
        Py_ssize_t n
        void *param
        const void *grad
        void *state[3]
        double factor[6]

    ctypedef struct fr_rule:
        const char *name
        int states, factors
        void (*run)(const fr_update *u) noexcept nogil

    ctypedef struct fr_kernels:
        const char *target
        int itemsize
        int lanes
        int unit_vectors[5]
        int outer_units
        int joined_bytes
        void (*pack)(void *dst, Py_ssize_t k, Py_ssize_t k0, Py_ssize_t k1, Py_ssize_t groups, Py_ssize_t n,
                     const void *src, Py_ssize_t row, Py_ssize_t col, const Py_ssize_t *start, Py_ssize_t panel0,
                     Py_ssize_t panel1) noexcept nogil
        void (*product)(const fr_product *p) noexcept nogil
        void (*pack_right)(void *dst, Py_ssize_t k, const void *const *rows, Py_ssize_t col, Py_ssize_t n,
                           void *sums, int add) noexcept nogil
        void (*outer)(Py_ssize_t k, const void *const *rows, Py_ssize_t col, Py_ssize_t m, const void *right,
                      Py_ssize_t panels, void *const *c, const Py_ssize_t *n, Py_ssize_t ldc, int add) noexcept nogil
        void (*dot_columns)(Py_ssize_t k, const void *const *a, Py_ssize_t col_a, const void *const *b, Py_ssize_t n,
                            void *out, int add) noexcept nogil
        void (*forward[5])(const fr_forward *s) noexcept nogil
        void (*backward[5])(const fr_backward *s) noexcept nogil
        void (*map)(int activation, int what, Py_ssize_t n, const void *x, void *y) noexcept nogil
        void (*multiply)(Py_ssize_t n, const void *a, const void *b, void *out) noexcept nogil
        void (*add)(Py_ssize_t n, const void *a, void *out) noexcept nogil
        void (*add_product)(Py_ssize_t n, const void *a, const void *b, void *out) noexcept nogil
        void (*scale)(Py_ssize_t n, double factor, void *x) noexcept nogil
        double (*sum_of_squares)(Py_ssize_t n, const void *x) noexcept nogil
        double (*squared_error)(Py_ssize_t n, const void *x, const void *y, double factor, void *d) noexcept nogil
        const fr_rule *rules
        double (*softmax_cross_entropy)(Py_ssize_t n, const void *x, Py_ssize_t target, void *p) noexcept nogil
        double (*fma_burn)(Py_ssize_t count, void *sink) noexcept nogil

    Py_ssize_t fr_panel_units(const fr_kernels *k, Py_ssize_t groups)
    Py_ssize_t fr_panels(const fr_kernels *k, Py_ssize_t groups, Py_ssize_t n)
    Py_ssize_t fr_packed_size(const fr_kernels *k, Py_ssize_t rows, Py_ssize_t groups, Py_ssize_t n)
    const fr_kernels *fr_select(const char *target, fr_dtype dtype)
    const char *const *fr_targets()
    unsigned long fr_flush_denormals()
    void fr_flush_restore(unsigned long state)
