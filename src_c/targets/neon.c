#include "../simd/neon.h"

#define TARGET_NAME neon
#define REAL_BITS 32
#include "../body.h"
#define REAL_BITS 64
#include "../body.h"
