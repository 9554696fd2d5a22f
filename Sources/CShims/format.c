#include "CShims.h"
#include <stdio.h>

int cshims_format_double(char *out, double value) { return snprintf(out, 32, "%.17g", value); }
