#include "../simd/baseline.h"

#define TARGET_NAME baseline
#include "../body.h"
