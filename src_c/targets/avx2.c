#include "../simd/avx2.h"

#define TARGET_NAME avx2
#include "../body.h"
