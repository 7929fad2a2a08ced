/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE 1
#include "CPosix.h"

#include <errno.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights that newer kernels know than the header this is built with; the ABI version below says which may be asked. */
#define RIGHT_REFER (1ULL << 13)
#define RIGHT_TRUNCATE (1ULL << 14)
#define RIGHT_IOCTL_DEV (1ULL << 15)
#define NET_BIND_TCP (1ULL << 0)
#define NET_CONNECT_TCP (1ULL << 1)
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define SCOPE_SIGNAL (1ULL << 1)

struct ruleset {
    uint64_t handled_files;
    uint64_t handled_network;
    uint64_t scoped;
};

int martlet_landlock_version(void) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version < 0 ? 0 : (int)version;
}

static uint64_t handled_files(int version) {
    uint64_t rights = (1ULL << 13) - 1;
    if (version >= 2) rights |= RIGHT_REFER;
    if (version >= 3) rights |= RIGHT_TRUNCATE;
    if (version >= 5) rights |= RIGHT_IOCTL_DEV;
    return rights;
}

static uint64_t files_of(uint64_t rights, uint64_t handled) {
    const uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    uint64_t files = 0;
    if (rights & MARTLET_LANDLOCK_READ) files |= reading;
    if (rights & MARTLET_LANDLOCK_WRITE) files |= handled & ~(reading | LANDLOCK_ACCESS_FS_EXECUTE | RIGHT_IOCTL_DEV);
    if (rights & MARTLET_LANDLOCK_EXECUTE) files |= LANDLOCK_ACCESS_FS_EXECUTE;
    return files & handled;
}

int martlet_landlock_restrict(const struct martlet_landlock_path *paths, size_t count, int network) {
    int version = martlet_landlock_version();
    if (version == 0) {
        errno = ENOSYS;
        return -1;
    }
    struct ruleset ruleset = {.handled_files = handled_files(version)};
    if (version >= 4 && !network) ruleset.handled_network = NET_BIND_TCP | NET_CONNECT_TCP;
    if (version >= 6) ruleset.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
    size_t size = version >= 6 ? sizeof ruleset : version >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    int descriptor = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
    if (descriptor < 0) return -1;
    for (size_t index = 0; index < count; index++) {
        struct stat status;
        if (fstat(paths[index].descriptor, &status) != 0) goto failed;
        uint64_t rights = files_of(paths[index].rights, ruleset.handled_files);
        if (!S_ISDIR(status.st_mode)) {
            rights &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE |
                      RIGHT_TRUNCATE | RIGHT_IOCTL_DEV;
        }
        struct landlock_path_beneath_attr rule = {
            .allowed_access = rights, .parent_fd = paths[index].descriptor};
        if (syscall(SYS_landlock_add_rule, descriptor, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) goto failed;
    }
    if (syscall(SYS_landlock_restrict_self, descriptor, 0) != 0) goto failed;
    close(descriptor);
    return 0;
failed:;
    int reason = errno;
    close(descriptor);
    errno = reason;
    return -1;
}
