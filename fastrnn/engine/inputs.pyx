"""The products of the inputs, which need no state: x W + b of many steps before the loop, dx behind it."""

from .core cimport fr_stopping, fr_team, poll
from .extent cimport Extent, panel_at, rows_at
from .job cimport Backward, Forward
from .kernels cimport FR_BLOCK, fr_product
from .linear cimport product_tokens
from .panels cimport Lots, Source, next_lot
from .share cimport rows_at_once
from .weights cimport Matrices


cdef void fill_product(const Forward *f, const void **a, const void **init, void **c, fr_product *p) noexcept nogil:
    """What is the same for every product x W + b."""
    cdef const Matrices *m = f.m
    cdef Py_ssize_t i
    for i in range(FR_BLOCK):
        init[i] = m.bias
    p.rows, p.k = 0, m.inputs
    p.a = a
    p.b_row = p.down = 0
    p.b_start = &m.x_start[0]
    p.groups, p.n = m.layout.x_groups, m.H
    p.init = init if m.bias != NULL else NULL
    p.init_group = p.c_group = m.H
    p.c = c


cdef void project_input(const Forward *f, const Extent *e, Py_ssize_t step0, Py_ssize_t step1, char *g, fr_team *team,
                        int rank) noexcept nogil:
    """g = x W + b for the extent's tokens of some steps; g: the first of them, rows adjacent unless gates are kept."""
    cdef const Matrices *m = f.m
    cdef const void *a[FR_BLOCK]
    cdef const void *init[FR_BLOCK]
    cdef void *c[FR_BLOCK]
    cdef fr_product p
    cdef Py_ssize_t step, r, first, item = f.k.itemsize, most
    fill_product(f, a, init, c, &p)
    most = rows_at_once(m.inputs, p.groups * (e.unit1 - e.unit0))
    p.b = m.w if f.raw else m.forward.w
    p.b_row = m.layout.gates * m.H if f.raw else 0
    p.panel0, p.panel1 = panel_at(f.k, p.groups, e.unit0), panel_at(f.k, p.groups, e.unit1)
    for step in range(step0, step1):
        first = f.offset[step] + e.row0
        for r in range(rows_at(f, e, step)):
            a[p.rows] = f.x + f.token[first + r] * m.inputs * item
            if f.keep_g:
                c[p.rows] = f.g + (first + r) * f.ld_g * item
            else:
                c[p.rows] = g
                g += f.ld_g * item
            p.rows += 1
            if p.rows == most:
                f.k.product(&p)
                p.rows = 0
                if rank == 0:
                    poll(team)
    f.k.product(&p)


cdef void input_products(const Forward *f, Py_ssize_t token0, const Source *w, Lots *lots, fr_team *team, int rank,
                         int size) noexcept nogil:
    """x W + b of tokens from token0 on into f.g from its beginning: this thread's lots, the first of which is ready."""
    cdef const void *a[FR_BLOCK]
    cdef const void *init[FR_BLOCK]
    cdef void *c[FR_BLOCK]
    cdef fr_product p
    cdef Py_ssize_t item = f.k.itemsize, at, i, most = rows_at_once(w.depth, f.ld_g)
    fill_product(f, a, init, c, &p)
    while lots.panel0 < lots.panel1:
        p.b, p.panel0, p.panel1 = lots.packed, lots.panel0, lots.panel1
        at = lots.row0
        while at < lots.row1 and not fr_stopping(team):
            p.rows = min(most, lots.row1 - at)
            for i in range(p.rows):
                a[i] = f.x + f.token[token0 + at + i] * f.inputs * item
                c[i] = f.g + (at + i) * f.ld_g * item
            f.k.product(&p)
            at += p.rows
            if rank == 0:
                poll(team)
        next_lot(f.k, w, lots, rank, size)


cdef void input_gradient(const Backward *b, Py_ssize_t token0, const Source *w, Lots *lots, fr_team *team, int rank,
                         int size) noexcept nogil:
    """dx = dG W^T for tokens from token0 on: this thread's lots."""
    cdef const Forward *f = &b.f
    cdef Py_ssize_t at, rows
    while lots.panel0 < lots.panel1:
        at = lots.row0
        while at < lots.row1 and not fr_stopping(team):
            rows = min(<Py_ssize_t> FR_BLOCK, lots.row1 - at)
            product_tokens(f.k, rows, w.depth, b.g_at + token0 + at, 0, lots.packed, f.inputs, lots.panel0, lots.panel1,
                           b.add_x, b.dx, f.inputs, f.token + token0 + at)
            at += rows
            if rank == 0:
                poll(team)
        next_lot(f.k, w, lots, rank, size)
