"""What compiled plugins get: fastrnn_plugin.h filled in, in a capsule. The header says what each function does."""

from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport strcmp

from .core cimport fr_team, kernels_of, poll, run, team_size
from .kernels cimport FR_SIGMOID, FR_TANH, fr_kernels, fr_rule, fr_update
from .share cimport share


cdef extern from "fastrnn_plugin.h":
    const int FASTRNN_ABI
    const char *FASTRNN_CAPSULE
    enum:
        FASTRNN_FLOAT32
        FASTRNN_FLOAT64
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

cdef enum:
    # What the kernels' map does beside an activation and its derivative (src_c/fastrnn.h).
    PLAIN = 0
    EXP = 2
    EXPM1 = 3

# No GIL is needed to read these.
cdef const fr_kernels *_table[2]
_table[FASTRNN_FLOAT32] = kernels_of(False)
_table[FASTRNN_FLOAT64] = kernels_of(True)


cdef struct Chunks:
    Py_ssize_t n, chunk
    fastrnn_body body
    void *context


cdef void chunks_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    cdef Chunks *c = <Chunks *> context
    cdef Py_ssize_t chunks = c.n // c.chunk + (c.n % c.chunk != 0), i
    for i in range(share(chunks, rank, size), share(chunks, rank + 1, size)):
        c.body(c.context, i * c.chunk, i * c.chunk + min(c.chunk, c.n - i * c.chunk))
        if rank == 0:
            poll(team)


cdef int parallel_for(Py_ssize_t n, Py_ssize_t chunk, fastrnn_body body, void *context) except -1:
    cdef Chunks c
    if chunk < 1:
        raise ValueError(f"parallel_for: chunk must be at least 1, got {chunk}\nhint: 4096 elements, for example")
    if n <= 0:
        return 0
    c.n, c.chunk, c.body, c.context = n, chunk, body, context
    # Waking a team costs some microseconds.
    return run(chunks_body, &c, team_size() if n // 4 >= chunk else 1)


cdef int map(int dtype, int function, Py_ssize_t n, const void *x, void *y) noexcept nogil:
    cdef int activation = FR_TANH, what = PLAIN
    if function == FASTRNN_EXP:
        what = EXP
    elif function == FASTRNN_EXPM1:
        what = EXPM1
    elif function == FASTRNN_SIGMOID:
        activation = FR_SIGMOID
    elif function != FASTRNN_TANH:
        return -1
    if dtype != FASTRNN_FLOAT32 and dtype != FASTRNN_FLOAT64:
        return -1
    _table[dtype].map(activation, what, n, x, y)
    return 0


cdef int update(int dtype, const char *rule, Py_ssize_t n, void *param, const void *grad, void *const *states,
                const double *factors) noexcept nogil:
    cdef const fr_rule *known
    cdef fr_update u
    cdef int i
    if dtype != FASTRNN_FLOAT32 and dtype != FASTRNN_FLOAT64:
        return -1
    known = _table[dtype].rules
    while known.name != NULL and strcmp(known.name, rule) != 0:
        known += 1
    if known.name == NULL:
        return -1
    u.n, u.param, u.grad = n, param, grad
    for i in range(known.states):
        u.state[i] = states[i]
    for i in range(known.factors):
        u.factor[i] = factors[i]
    known.run(&u)
    return 0


cdef fastrnn_api _api
_api.abi_version = FASTRNN_ABI
_api.struct_size = sizeof(fastrnn_api)
_api.target = _table[0].target
_api.parallel_for = parallel_for
_api.map = map
_api.update = update

C_API = PyCapsule_New(&_api, FASTRNN_CAPSULE, NULL)
