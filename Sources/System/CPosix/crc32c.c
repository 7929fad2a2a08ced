/* SPDX-License-Identifier: ISC */
#include "CPosix.h"

#include <string.h>

#define POLYNOMIAL 0x82F63B78u /* Castagnoli, reflected */

static uint32_t by_table(uint32_t sum, const unsigned char *bytes, size_t count) {
    static uint32_t table[256];
    static int ready;
    if (!ready) {
        for (uint32_t value = 0; value < 256; value++) {
            uint32_t entry = value;
            for (int bit = 0; bit < 8; bit++) entry = entry & 1 ? entry >> 1 ^ POLYNOMIAL : entry >> 1;
            table[value] = entry;
        }
        __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
    }
    while (count-- > 0) sum = table[(sum ^ *bytes++) & 0xFF] ^ sum >> 8;
    return sum;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t sum, const unsigned char *bytes,
    size_t count) {
    uint64_t wide = sum;
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        wide = __builtin_ia32_crc32di(wide, word);
        bytes += 8;
        count -= 8;
    }
    sum = (uint32_t)wide;
    while (count-- > 0) sum = __builtin_ia32_crc32qi(sum, *bytes++);
    return sum;
}
#endif

uint32_t martlet_crc32c(uint32_t seed, const void *bytes, size_t count) {
    uint32_t sum = ~seed;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return ~by_instruction(sum, bytes, count);
#endif
    return ~by_table(sum, bytes, count);
}
