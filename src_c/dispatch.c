/* One table of kernels, chosen once. */
#include "fastrnn.h"

#include <string.h>

#define TABLE(name) extern const fr_kernels fr_##name##_32, fr_##name##_64;
#ifdef FASTRNN_HAVE_AVX512
TABLE(avx512)
#endif
#ifdef FASTRNN_HAVE_AVX2
TABLE(avx2)
#endif
#ifdef FASTRNN_HAVE_NEON
TABLE(neon)
#endif
TABLE(baseline)

/* Best first. */
static const fr_kernels *const tables[][FR_DTYPE_COUNT] = {
#ifdef FASTRNN_HAVE_AVX512
    {&fr_avx512_32, &fr_avx512_64},
#endif
#ifdef FASTRNN_HAVE_AVX2
    {&fr_avx2_32, &fr_avx2_64},
#endif
#ifdef FASTRNN_HAVE_NEON
    {&fr_neon_32, &fr_neon_64},
#endif
    {&fr_baseline_32, &fr_baseline_64},
};

enum { TABLE_COUNT = sizeof tables / sizeof tables[0] };

const fr_kernels *fr_select(const char *target, enum fr_dtype dtype) {
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        const fr_kernels *table = tables[i][dtype];
        if ((!target || !strcmp(target, table->target)) && fr_cpu_has(table->target)) return table;
    }
    return NULL;
}

const char *const *fr_targets(void) {
    static const char *names[TABLE_COUNT + 1];
    size_t n = 0;
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (fr_cpu_has(tables[i][0]->target)) names[n++] = tables[i][0]->target;
    names[n] = NULL;
    return names;
}
