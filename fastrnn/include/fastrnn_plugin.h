/* fastrnn for compiled plugins: the engine's threads and its vector functions. C11, or C++ or Cython.
 *
 *     static const fastrnn_api *fastrnn;          fastrnn = fastrnn_import();   // when the module is initialised
 *
 * The folder of this file is fastrnn.get_include(); nothing is linked: the functions come in a capsule, as NumPy's do.
 * Within one FASTRNN_ABI members are only added, at the end, so an extension works with its fastrnn and later ones.
 */
#ifndef FASTRNN_PLUGIN_H
#define FASTRNN_PLUGIN_H

#include <Python.h>
#include <stddef.h>

#define FASTRNN_ABI 1
#define FASTRNN_CAPSULE "fastrnn._C_API"

enum fastrnn_dtype { FASTRNN_FLOAT32, FASTRNN_FLOAT64 };
enum fastrnn_function { FASTRNN_EXP, FASTRNN_EXPM1, FASTRNN_TANH, FASTRNN_SIGMOID };

/* Elements first <= i < last of the work; no GIL, no Python. Which thread it runs on is not known. */
typedef void (*fastrnn_body)(void *context, ptrdiff_t first, ptrdiff_t last);

typedef struct {
    int abi_version; /* FASTRNN_ABI */
    size_t struct_size; /* sizeof(fastrnn_api) where fastrnn was built */
    const char *target; /* the SIMD target in use, "avx2" for example */

    /* Calls body for 0..chunk, chunk..2 chunk, ... up to n, on as many threads as fastrnn uses now (set_num_threads;
     * one after a fork, and one for less than four chunks). The chunks do not depend on the number of threads, so
     * neither do the bits of a body that keeps to its chunk. Denormals are flushed to zero, as everywhere in fastrnn.
     * Call it with the GIL, which it gives back while it works. All chunks are done even if a signal comes.
     * 0, or -1 with an exception set: the signal handler's, or ValueError for chunk < 1. */
    int (*parallel_for)(ptrdiff_t n, ptrdiff_t chunk, fastrnn_body body, void *context);

    /* The rest may be called within a body, and anywhere else. */

    /* y[i] = function(x[i]); y may be x. -1: no such function or dtype. */
    int (*map)(int dtype, int function, ptrdiff_t n, const void *x, void *y);
    /* One sweep of a built-in update rule over n elements, for example "average": param += (grad - param) factor[0].
     * fastrnn.engine.sweeps.rules() names the rules and says how many states and factors each takes; src_c/updates.h
     * has the equations. -1: no such rule or dtype. */
    int (*update)(int dtype, const char *rule, ptrdiff_t n, void *param, const void *grad,
                  void *const *states, const double *factors);
} fastrnn_api;

/* The functions of the installed fastrnn, or NULL with ImportError set if they are not those of this file. GIL. */
static inline const fastrnn_api *fastrnn_import(void) {
    const fastrnn_api *api = (const fastrnn_api *)PyCapsule_Import(FASTRNN_CAPSULE, 0);
    if (api == NULL) return NULL;
    if (api->abi_version != FASTRNN_ABI || api->struct_size < sizeof(fastrnn_api)) {
        PyErr_Format(PyExc_ImportError,
                     "fastrnn: this extension was compiled for ABI %d with %zu bytes of functions, "
                     "the installed fastrnn has ABI %d with %zu\n"
                     "hint: compile the extension again, or install the fastrnn it wants",
                     FASTRNN_ABI, sizeof(fastrnn_api), api->abi_version, api->struct_size);
        return NULL;
    }
    return api;
}

#endif
