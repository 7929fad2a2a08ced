/* SPDX-License-Identifier: ISC */
#include "CPosix.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MARTLET_FOREIGN_HEAP 1
#endif
#endif

/* These two stand before those of the C library for the whole process, its libraries included. Until they are told to
 * erase they only pass on; the allocator is the library's all the time. */
#ifndef MARTLET_FOREIGN_HEAP

void __libc_free(void *memory);
void *__libc_malloc(size_t size);
void *__libc_realloc(void *memory, size_t size);

static int erases_freed;

void martlet_erase_freed(void) { erases_freed = 1; }

__attribute__((visibility("default"))) void free(void *memory) {
    if (erases_freed && memory != NULL) explicit_bzero(memory, malloc_usable_size(memory));
    __libc_free(memory);
}

__attribute__((visibility("default"))) void *realloc(void *memory, size_t size) {
    if (!erases_freed || memory == NULL || size == 0) return __libc_realloc(memory, size);
    /* The library would move the bytes and leave them where they were as well. */
    size_t count = malloc_usable_size(memory);
    if (size <= count && size > count / 2) return memory;
    void *moved = __libc_malloc(size);
    if (moved == NULL) return NULL;
    memcpy(moved, memory, size < count ? size : count);
    explicit_bzero(memory, count);
    __libc_free(memory);
    return moved;
}

#else

void martlet_erase_freed(void) {}

#endif
