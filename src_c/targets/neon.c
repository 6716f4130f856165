#include "../simd/neon.h"

#define TARGET_NAME neon
#include "../body.h"
