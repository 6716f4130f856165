# fastrnn_plugin.h for Cython: same names, same order; the comments are there.

cdef extern from "fastrnn_plugin.h":
    const int FASTRNN_ABI
    const char *FASTRNN_CAPSULE

    enum fastrnn_dtype:
        FASTRNN_FLOAT32
        FASTRNN_FLOAT64

    enum fastrnn_function:
        FASTRNN_EXP
        FASTRNN_EXPM1
        FASTRNN_TANH
        FASTRNN_SIGMOID

    ctypedef void (*fastrnn_body)(void *context, Py_ssize_t first, Py_ssize_t last) noexcept nogil

    ctypedef struct fastrnn_api:
        int abi_version
        size_t struct_size
        const char *target
        int (*parallel_for)(Py_ssize_t n, Py_ssize_t chunk, fastrnn_body body, void *context) except -1
        int (*map)(int dtype, int function, Py_ssize_t n, const void *x, void *y) noexcept nogil
        int (*update)(int dtype, const char *rule, Py_ssize_t n, void *param, const void *grad, void *const *states,
                      const double *factors) noexcept nogil

    const fastrnn_api *fastrnn_import() except NULL
