"""Products over a team: F.matmul, F.linear, and what the time loop takes of them. OpenMP over output tiles."""

cimport numpy as cnp

from .core cimport (Buffer, Parts, add_part, fr_barrier, fr_due, fr_stopping, fr_team, kernels_of, poll, run, take,
                    take_parts, times)
from .groups cimport begin_group
from .kernels cimport FR_BLOCK, FR_RAW_ROWS, fr_kernels, fr_packed_size, fr_panels, fr_product
from .outer cimport Outer, add_term, outer_blocks, outer_scratch, take_in_turn
from .panels cimport Source, pack_share, plain_source
from .share cimport rows_at_once, share

cnp.import_array()


cdef void product_rows(const fr_kernels *k, Py_ssize_t rows, Py_ssize_t depth, const char *a, Py_ssize_t lda,
                       const void *b, Py_ssize_t n, Py_ssize_t panel0, Py_ssize_t panel1, bint down,
                       bint keep, char *c, Py_ssize_t ldc, fr_team *team, int rank) noexcept nogil:
    """c = (c if keep) + a b for rows at a fixed distance (in elements), panels from the last to the first if `down`."""
    cdef const void *a_rows[FR_BLOCK]
    cdef void *c_rows[FR_BLOCK]
    cdef fr_product p
    cdef Py_ssize_t i, first, item = k.itemsize, most = rows_at_once(depth, n)
    p.k = depth
    p.a = a_rows
    p.b = b
    p.b_row = 0
    p.down = down
    p.groups = 1
    p.n = n
    p.panel0 = panel0
    p.panel1 = panel1
    p.init = <const void *const *> c_rows if keep else NULL
    p.init_group = p.c_group = 0
    p.c = c_rows
    first = 0
    while first < rows:
        p.rows = min(most, rows - first)
        for i in range(p.rows):
            a_rows[i] = a + (first + i) * lda * item
            c_rows[i] = c + (first + i) * ldc * item
        k.product(&p)
        first += p.rows
        if rank == 0 and fr_due(team, <double> p.rows * depth * n):
            poll(team)


cdef void product_tokens(const fr_kernels *k, Py_ssize_t rows, Py_ssize_t depth, const void *const *a, Py_ssize_t first,
                         const void *b, Py_ssize_t n, Py_ssize_t panel0, Py_ssize_t panel1, bint keep, char *c,
                         Py_ssize_t ldc, const Py_ssize_t *token) noexcept nogil:
    """c[token[i]] = (itself if keep) + a[i][first:] b: the rows of c lie where their tokens lie."""
    cdef const void *a_rows[FR_BLOCK]
    cdef void *c_rows[FR_BLOCK]
    cdef fr_product p
    cdef Py_ssize_t i, at, item = k.itemsize
    p.k = depth
    p.a = a_rows
    p.b = b
    p.b_row = p.down = 0
    p.groups = 1
    p.n = n
    p.panel0 = panel0
    p.panel1 = panel1
    p.init = <const void *const *> c_rows if keep else NULL
    p.init_group = p.c_group = 0
    p.c = c_rows
    at = 0
    while at < rows:
        p.rows = min(<Py_ssize_t> FR_BLOCK, rows - at)
        for i in range(p.rows):
            a_rows[i] = <const char *> a[at + i] + first * item
            c_rows[i] = c + token[at + i] * ldc * item
        k.product(&p)
        at += p.rows


# ---------------------------------------------------------------- dense functions

cdef struct Dense:
    const fr_kernels *k
    Py_ssize_t rows
    const char *x
    Py_ssize_t x_row            # distance between the rows of x, in elements
    Source w                    # (depth, n)
    bint raw                    # its columns are adjacent and it is read where it is
    const char *bias
    bint keep
    char *y


cdef void dense_rows(const Dense *d, Py_ssize_t at, Py_ssize_t end, Py_ssize_t panel0, Py_ssize_t panel1, fr_team *team,
                     int rank) noexcept nogil:
    """The rows at <= i < end of a product, of the columns in some of its panels."""
    cdef const fr_kernels *k = d.k
    cdef Py_ssize_t item = k.itemsize, i
    cdef const void *a_rows[FR_BLOCK]
    cdef const void *init_rows[FR_BLOCK]
    cdef void *c_rows[FR_BLOCK]
    cdef fr_product p
    p.k = d.w.depth
    p.a = a_rows
    p.b = d.w.raw if d.raw else d.w.held
    p.b_row = d.w.row if d.raw else 0
    p.down = False
    p.b_start = d.w.start
    p.groups = 1
    p.n = d.w.n
    p.panel0, p.panel1 = panel0, panel1
    p.c = c_rows
    p.init_group = p.c_group = 0
    p.init = <const void *const *> c_rows if d.keep else init_rows if d.bias != NULL else NULL
    while at < end:
        p.rows = min(rows_at_once(d.w.depth, d.w.n), end - at)
        for i in range(p.rows):
            a_rows[i] = d.x + (at + i) * d.x_row * item
            init_rows[i] = d.bias
            c_rows[i] = d.y + (at + i) * d.w.n * item
        k.product(&p)
        at += p.rows
        if rank == 0:
            poll(team)
        if fr_stopping(team):
            return


cdef void dense_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    cdef Dense *d = <Dense *> context
    cdef Py_ssize_t panels = fr_panels(d.k, 1, d.w.n)
    if not d.raw:
        pack_share(d.k, &d.w, rank, size)
        if fr_barrier(team, size):
            return
    # Rows are dealt to the threads where there are enough of them, else columns.
    if d.rows >= 8 * size:
        dense_rows(d, share(d.rows, rank, size), share(d.rows, rank + 1, size), 0, panels, team, rank)
    else:
        dense_rows(d, 0, d.rows, share(panels, rank, size), share(panels, rank + 1, size), team, rank)


cdef void *data(array) noexcept:
    return cnp.PyArray_DATA(<cnp.ndarray> array)


cdef enum:
    TEAM_WORK = 1000000         # floating-point operations below which a team costs more than it brings


cpdef int dense(cnp.ndarray x, cnp.ndarray w, bias, cnp.ndarray out, bint transposed, bint keep,
                int threads) except -1:
    """out = (out if keep) + bias + x w, or x w^T if transposed; 2-D C-contiguous arrays of one dtype."""
    cdef Dense d
    cdef Buffer packed = None
    cdef Py_ssize_t rows = x.shape[0], depth = x.shape[1], n = out.shape[1]
    d.k = kernels_of(cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT64)
    d.rows, d.x_row = rows, depth
    d.x, d.y = <char *> data(x), <char *> data(out)
    d.w = plain_source(NULL, depth, n, <char *> data(w), 1 if transposed else n, depth if transposed else 1)
    d.bias = <char *> data(bias) if bias is not None else NULL
    d.keep = keep
    d.raw = not transposed and rows <= FR_RAW_ROWS
    if rows == 0 or n == 0:
        return 0
    if not d.raw:
        packed = take(times(fr_packed_size(d.k, depth, 1, n), d.k.itemsize))
        d.w.held = <char *> packed.data
    return run(dense_body, &d, threads if 2.0 * rows * depth * n > TEAM_WORK else 1)


cdef struct Stack:
    Dense one                   # the first product
    Py_ssize_t count
    Py_ssize_t x_next, w_next   # distances between matrices, in elements
    Py_ssize_t packed_size      # bytes of a packed right factor; each thread has its own


cdef void stack_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    """This thread's share of the products, each from its first to its last row."""
    cdef Stack *s = <Stack *> context
    cdef Dense d = s.one
    cdef Py_ssize_t item = d.k.itemsize, panels = fr_panels(d.k, 1, d.w.n), i
    if not d.raw:
        d.w.held += rank * s.packed_size
    for i in range(share(s.count, rank, size), share(s.count, rank + 1, size)):
        d.x = s.one.x + i * s.x_next * item
        d.w.raw = s.one.w.raw + i * s.w_next * item
        d.y = s.one.y + i * d.rows * d.w.n * item
        if not d.raw:
            pack_share(d.k, &d.w, 0, 1)
        dense_rows(&d, 0, d.rows, 0, panels, team, rank)
        if fr_stopping(team):
            return


def stack(cnp.ndarray x, cnp.ndarray w, cnp.ndarray out, int threads):
    """out[i] = x[i] w[i]: 3-D arrays of one dtype, out and the rows of x contiguous, w with any strides."""
    cdef Stack s
    cdef Dense *d = &s.one
    cdef Buffer packed = None
    cdef Py_ssize_t count = out.shape[0], depth = x.shape[2], n = out.shape[2], item
    cdef double work
    cdef bint across
    d.k = kernels_of(cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT64)
    item = d.k.itemsize
    s.count, s.x_next, s.w_next = count, x.strides[0] // item, w.strides[0] // item
    d.rows, d.x_row = out.shape[1], x.strides[1] // item
    d.x, d.y = <char *> data(x), <char *> data(out)
    d.w = plain_source(NULL, depth, n, <char *> data(w), w.strides[1] // item, w.strides[2] // item)
    d.bias, d.keep = NULL, False
    if n == 1:
        d.w.col = 1             # whatever the view says
    d.raw = d.w.col == 1 and d.w.row > 0 and d.rows <= FR_RAW_ROWS
    if out.size == 0:
        return
    work = 2.0 * d.rows * depth * n
    if work * count <= TEAM_WORK:
        threads = 1
    # A thread takes whole matrices, unless there are so few that some threads would wait long for the last ones.
    across = work <= TEAM_WORK or count >= 4 * threads
    if not d.raw:
        s.packed_size = (times(fr_packed_size(d.k, depth, 1, n), item) + 63) // 64 * 64
        packed = take(times(s.packed_size, threads if across else 1))
        d.w.held = <char *> packed.data
    if across:
        run(stack_body, &s, threads)
        return
    for _ in range(count):
        run(dense_body, d, threads)
        d.x += s.x_next * item
        d.w.raw += s.w_next * item
        d.y += d.rows * n * item


cdef struct DenseGradient:
    Outer outer
    Py_ssize_t rows, depth
    const char *x
    const char *dy
    const void **pointers       # rows of x, then rows of dy
    char *scratch


cdef void dense_gradient_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    cdef DenseGradient *d = <DenseGradient *> context
    cdef Py_ssize_t i, item = d.outer.k.itemsize
    for i in range(share(d.rows, rank, size), share(d.rows, rank + 1, size)):
        d.pointers[i] = d.x + i * d.depth * item
        d.pointers[d.rows + i] = d.dy + i * d.outer.n * item
    if rank == 0:
        for i in range(d.outer.groups):
            begin_group(&d.outer.group[i], d.rows)
    if fr_barrier(team, size):
        return
    outer_blocks(&d.outer, 0, (d.rows + FR_BLOCK - 1) // FR_BLOCK, d.scratch, team, rank, size)


cpdef int dense_gradient(cnp.ndarray x, cnp.ndarray dy, dw, sums, bint add, int threads) except -1:
    """dw = (dw if add) + x^T dy; sums (or None) = the column sums of dy."""
    cdef DenseGradient d
    cdef Parts parts
    cdef Py_ssize_t rows = x.shape[0], depth = x.shape[1], n = dy.shape[1]
    d.outer.k = kernels_of(cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT64)
    d.rows, d.depth, d.outer.tokens, d.outer.n = rows, depth, rows, n
    if rows == 0 or n == 0:
        if dw is not None and not add:
            dw[...] = 0
        if sums is not None:
            sums[...] = 0
        return 0
    d.x, d.dy = <char *> data(x), <char *> data(dy)
    d.outer.blocks = 1
    take_in_turn(&d.outer, d.outer.tokens, threads)
    parts.count, parts.size = 0, 0
    add_part(&parts, <char **> &d.outer.group, d.outer.groups, sizeof(d.outer.group[0]))
    add_part(&parts, <char **> &d.pointers, 2 * rows, sizeof(void *))
    add_part(&parts, &d.scratch, 1, outer_scratch(&d.outer, threads))
    _memory = take_parts(&parts)
    d.outer.d = d.pointers + rows
    d.outer.sums = <char *> data(sums) if sums is not None else NULL
    d.outer.terms = 0
    if dw is not None:
        add_term(&d.outer, d.pointers, 0, depth, n, add).out[0] = <char *> data(dw)
    return run(dense_gradient_body, &d, threads if 2.0 * rows * depth * n > TEAM_WORK else 1)
