#include "CTrestleKernels.h"
