#include "../simd/baseline.h"

#define TARGET_NAME baseline
#define REAL_BITS 32
#include "../body.h"
#define REAL_BITS 64
#include "../body.h"
