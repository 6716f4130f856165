#include "../simd/avx512.h"

#define TARGET_NAME avx512
#define REAL_BITS 32
#include "../body.h"
#define REAL_BITS 64
#include "../body.h"
