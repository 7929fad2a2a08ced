/* SPDX-License-Identifier: ISC */
#include "CPosix.h"

#include <string.h>
#include <sys/eventfd.h>

int martlet_event_descriptor(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

size_t martlet_used_length(const void *bytes, size_t count) {
    const unsigned char *start = bytes;
    uint64_t words[8];
    while (count >= sizeof words) {
        memcpy(words, start + count - sizeof words, sizeof words);
        if (words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7]) break;
        count -= sizeof words;
    }
    while (count > 0 && start[count - 1] == 0) count--;
    return count;
}
