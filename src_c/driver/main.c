/* Runs every kernel of every SIMD target that this machine can execute, in both dtypes, against plain loops. */
#include <stdio.h>
#include <string.h>

#include "check.h"

/* The address sanitizer sees every byte around a heap block; without it, pages that cannot be touched do. */
#if defined(__SANITIZE_ADDRESS__)
enum { FIRST_PLACE = CHECK_HEAP, LAST_PLACE = CHECK_HEAP };
#else
enum { FIRST_PLACE = CHECK_PAGE_AFTER, LAST_PLACE = CHECK_PAGE_BEFORE };
#endif

int main(int argc, char **argv) {
    int wanted = argc < 2;
    for (const char *const *name = fr_targets(); *name; name++) {
        if (argc > 1 && strcmp(argv[1], *name) != 0) continue;
        wanted = 1;
        for (int place = FIRST_PLACE; place <= LAST_PLACE; place++) {
            check_place = (enum check_place)place;
            for (int dtype = 0; dtype < FR_DTYPE_COUNT; dtype++) {
                const fr_kernels *k = fr_select(*name, (enum fr_dtype)dtype);
                check_products(k);
                check_cells(k);
                check_sweeps(k);
                check_updates(k);
            }
        }
        printf("%s: checked\n", *name);
    }
    if (!wanted) {
        fprintf(stderr, "driver: this machine cannot run target %s\n", argv[1]);
        return 2;
    }
    printf("driver: %ld passed, %ld failed\n", check_passed, check_failed);
    return check_failed != 0;
}
