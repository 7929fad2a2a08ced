/* SPDX-License-Identifier: ISC */
#include "CFuzzer.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, martlet_fuzz_target target);

static int play_file(const char *path, martlet_fuzz_target target) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    size_t count = 0, room = 0, read = 0;

    if (file == NULL) return -1;
    do {
        count += read;
        if (count == room) {
            room = room ? room * 2 : 65536;
            uint8_t *larger = realloc(bytes, room);
            if (larger == NULL) break;
            bytes = larger;
        }
        read = fread(bytes + count, 1, room - count, file);
    } while (read > 0);
    fclose(file);
    target(bytes, count);
    free(bytes);
    return 1;
}

static int play(const char *path, martlet_fuzz_target target) {
    struct stat status;
    struct dirent *entry;
    int played = 0;

    if (stat(path, &status) != 0) return -1;
    if (!S_ISDIR(status.st_mode)) return play_file(path, target);
    DIR *directory = opendir(path);
    if (directory == NULL) return -1;
    while ((entry = readdir(directory)) != NULL) {
        char inner[4096];
        if (entry->d_name[0] == '.') continue;
        if (snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) >= (int)sizeof inner) continue;
        int count = play(inner, target);
        if (count < 0) {
            played = -1;
            break;
        }
        played += count;
    }
    closedir(directory);
    return played;
}

/* The fuzzer's own, where it is linked, goes before this. */
__attribute__((weak)) int LLVMFuzzerRunDriver(int *argc, char ***argv, martlet_fuzz_target target) {
    int played = 0;

    for (int index = 1; index < *argc; index++) {
        int count = play((*argv)[index], target);
        if (count < 0) {
            fprintf(stderr, "%s: cannot be read\n", (*argv)[index]);
            return 1;
        }
        played += count;
    }
    printf("%d inputs\n", played);
    return 0;
}

int martlet_fuzz(int argc, char **argv, martlet_fuzz_target target) {
    return LLVMFuzzerRunDriver(&argc, &argv, target);
}
