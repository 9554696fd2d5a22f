#include "CShims.h"
#include <string.h>

// Source: RFC 3720 appendix B.4 (the polynomial); the hardware instruction computes the same function.
static uint32_t software(uint32_t crc, const unsigned char *p, size_t n) {
    while (n--) {
        crc ^= *p++;
        for (int k = 0; k < 8; k++) crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1)));
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t hardware(uint32_t crc, const unsigned char *p, size_t n) {
    uint64_t c = crc;
    while (n >= 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        c = __builtin_ia32_crc32di(c, w);
        p += 8;
        n -= 8;
    }
    while (n--) c = __builtin_ia32_crc32qi((uint32_t)c, *p++);
    return (uint32_t)c;
}
static int has_hardware(void) { return __builtin_cpu_supports("sse4.2"); }
#else
static uint32_t hardware(uint32_t crc, const unsigned char *p, size_t n) { return software(crc, p, n); }
static int has_hardware(void) { return 0; }
#endif

uint32_t cshims_crc32c(uint32_t crc, const void *data, size_t length) {
    crc = ~crc;
    crc = has_hardware() ? hardware(crc, data, length) : software(crc, data, length);
    return ~crc;
}
