/* Arrays that notice what a kernel does to them.
 *
 * An array is exactly as long as its contract says, and knows what it must hold in the end: by default what it
 * held at first, so that inputs, gaps between rows and foreign columns are checked without being named. A case makes arrays,
 * writes into `want` what the kernel must have changed, calls the kernel, and ends with check_finish().
 */
#ifndef CHECK_H
#define CHECK_H

#include <stddef.h>

#include "fastrnn.h"

/* Where arrays lie: heap blocks for the address sanitizer, or flush against a page that cannot be touched. */
enum check_place { CHECK_HEAP, CHECK_PAGE_AFTER, CHECK_PAGE_BEFORE };
extern enum check_place check_place;
extern long check_passed, check_failed;

/* In `want`: anything may be here. */
#define CHECK_ANY 1e300

typedef struct {
    void *data;
    ptrdiff_t n;
    int itemsize;
    double *want;
    double tolerance; /* |got - want| <= tolerance * max(1, |want|); 0: equal */
    const char *name;
} array;

/* A (k, groups * n) matrix as a caller has it: the groups in another order than the kernel's, a gap
 * after each row, or transposed. */
typedef struct {
    array *values;
    ptrdiff_t row, col, *start;
} matrix;

matrix matrix_make(const fr_kernels *k, ptrdiff_t rows, ptrdiff_t groups, ptrdiff_t n,
                   int transposed);
double matrix_at(matrix m, ptrdiff_t row, ptrdiff_t group, ptrdiff_t j);
/* All of it, packed by the kernel. */
array *matrix_pack(const fr_kernels *k, matrix m, ptrdiff_t rows, ptrdiff_t groups, ptrdiff_t n);

/* Values in [-1, 1) from a generator that check_begin seeds. */
array *check_random(const fr_kernels *k, const char *name, ptrdiff_t n);
/* Values no kernel makes by chance: what is not written stays recognizable. */
array *check_blank(const fr_kernels *k, const char *name, ptrdiff_t n);
double check_uniform(void);

double get(const array *a, ptrdiff_t i);
/* Sets the element and what is wanted of it. */
void set(array *a, ptrdiff_t i, double value);
void *at(const array *a, ptrdiff_t i);
/* pointers[i] = row i of a, `ld` elements apart; as exact as the arrays. */
void **check_rows(const array *a, ptrdiff_t rows, ptrdiff_t ld);
ptrdiff_t *check_indices(ptrdiff_t n);

void check_begin(const char *format, ...) __attribute__((format(printf, 1, 2)));
void check_value(const char *name, double got, double want, double tolerance);
void check_finish(void);

/* Rounds to the table's dtype. */
double check_round(const fr_kernels *k, double x);
/* One link of a chain: acc + a * b as the table's target computes it. */
double check_link(const fr_kernels *k, double a, double b, double acc);

/* The activations and their derivatives, both of the input x. */
double activation(int kind, double x);
double activation_slope(int kind, double x);

void check_products(const fr_kernels *k);
void check_cells(const fr_kernels *k);
void check_sweeps(const fr_kernels *k);
void check_updates(const fr_kernels *k);

#endif
