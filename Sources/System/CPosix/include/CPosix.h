/* SPDX-License-Identifier: ISC */
/* What Swift cannot say: function-like macros, variadic calls, ancillary data, fork and exec, Landlock, prctl. */
#ifndef MARTLET_CPOSIX_H
#define MARTLET_CPOSIX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

/* From now on memory of the heap is overwritten when it is freed (erase.c). */
void martlet_erase_freed(void);

/* ---- descriptors over sockets (socket.c) ---- */

#define MARTLET_DESCRIPTORS_MAX 16

/* Sends bytes with one descriptor (-1 for none). The number of bytes sent, or -1 and errno. */
ssize_t martlet_send_with_descriptor(int socket, const void *bytes, size_t count, int descriptor);

/* Receives bytes and up to MARTLET_DESCRIPTORS_MAX descriptors, each close-on-exec. Surplus or cut-off ancillary data
 * is an error (EPROTO) and every descriptor of it is closed. */
ssize_t martlet_receive_with_descriptors(int socket, void *bytes, size_t count, int *descriptors,
    int *descriptor_count);

/* The uid, gid and pid of the peer of a Unix socket. 0, or -1 and errno. */
int martlet_peer_credentials(int socket, uid_t *uid, gid_t *gid, pid_t *pid);

int martlet_accept(int socket, struct sockaddr_storage *address, socklen_t *length);
int martlet_local_address(int socket, struct sockaddr_storage *address, socklen_t *length);
int martlet_bind(int socket, const void *address, socklen_t length);
int martlet_connect(int socket, const void *address, socklen_t length);
int martlet_open_at(int directory, const char *path, int flags, unsigned int mode);
/* openat2 with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS. */
int martlet_open_beneath(int directory, const char *path, int flags, unsigned int mode);
int martlet_duplicate(int descriptor, int lowest);
/* Waits for input on `descriptor`, which `epoll` waits for already, in such a way that of several processes one is woken.
 * 0, or -1 when `epoll` does not wait for it; nothing has changed then. */
int martlet_wait_exclusively(int epoll, int descriptor);
int martlet_set_nonblocking(int descriptor, int enabled);
int martlet_set_close_on_exec(int descriptor, int enabled);

/* ---- processes (process.c) ---- */

struct martlet_child {
    int executable;            /* open descriptor of the program */
    char *const *arguments;    /* NULL-terminated */
    char *const *environment;  /* NULL-terminated */
    int channel;               /* becomes descriptor 3 */
    int errors;                /* becomes descriptor 2 */
    int input;                 /* becomes 0, or -1 for /dev/null */
    int output;                /* becomes 1, or -1 for /dev/null */
    int changes_identity;      /* use the four fields below */
    uid_t uid;
    gid_t gid;
    const char *directory;     /* chdir there, or NULL */
    int forbids_new_privileges;
    int new_session;           /* setsid */
};

/* Starts the child: descriptors 0 to 3 as said and no others, default signals, empty mask, parent-death signal.
 * The pid, or -1 and errno, that of a failed exec included. */
pid_t martlet_spawn(const struct martlet_child *child);

/* Closes every descriptor from `first` up. */
void martlet_close_from(int first);
/* Parent-death signal KILL and not dumpable; -1 when the parent has already gone. */
int martlet_bind_to_parent(pid_t expected_parent);
/* The effective user and group of the calling thread and of no other, without supplementary groups; user 0 to go back.
 * 0, or -1 and errno. The C library's own calls change all threads, and interrupt them with a signal. */
int martlet_take_identity(uid_t uid, gid_t gid);
/* Takes the parent-death signal back: for the server that goes into the background. */
int martlet_outlive_parent(void);
int martlet_set_no_new_privileges(void);
int martlet_drop_bounding_set(void);
int martlet_set_ids(uid_t uid, gid_t gid);
int martlet_clear_capabilities(void);
int martlet_unshare(int network, int ipc, int mount);
int martlet_memory_lock_all(void);
int martlet_exited_normally(int status);
int martlet_exit_status(int status);
int martlet_signal_number(int status);

/* ---- Landlock (landlock.c) ---- */

/* The ABI version, or 0 where the kernel has none. */
int martlet_landlock_version(void);

struct martlet_landlock_path {
    int descriptor;
    uint64_t rights;
};

#define MARTLET_LANDLOCK_READ 1u    /* read files and directories */
#define MARTLET_LANDLOCK_WRITE 2u   /* write, create, remove, rename below */
#define MARTLET_LANDLOCK_EXECUTE 4u

/* Restricts this process to the paths given (rights of the three bits above), no TCP bind or connect unless `network`.
 * 0, or -1 and errno. */
int martlet_landlock_restrict(const struct martlet_landlock_path *paths, size_t count, int network);

/* ---- sums ---- */

uint32_t martlet_crc32c(uint32_t seed, const void *bytes, size_t count);

/* ---- spool ---- */

/* A counter that one thread raises and another waits for; not blocking, close-on-exec. -1 and errno. */
int martlet_event_descriptor(void);

/* The number of bytes up to the last one that is not zero. */
size_t martlet_used_length(const void *bytes, size_t count);

#endif
