#include "../simd/avx512.h"

#define TARGET_NAME avx512
#include "../body.h"
