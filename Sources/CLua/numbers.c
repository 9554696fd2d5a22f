// Numbers as text.
#include "host.h"
#include <math.h>
#include <stdio.h>

size_t write_integer(long long number, char *out) {
    char digits[24];
    size_t count = 0, length = 0;
    unsigned long long rest = number < 0 ? 0 - (unsigned long long)number : (unsigned long long)number;
    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) out[length++] = '-';
    while (count > 0) out[length++] = digits[--count];
    return length;
}

/// An integer as such, up to 2^52, where a double has each; -0 is not one.
size_t write_number(double number, char *out) {
    if (number > -4503599627370496.0 && number < 4503599627370496.0) {
        long long integer = (long long)number;
        if ((double)integer == number && (integer != 0 || !signbit(number))) return write_integer(integer, out);
    }
    return (size_t)snprintf(out, 32, "%.17g", number);
}
