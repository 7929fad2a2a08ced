/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE 1
#include "CPosix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t martlet_send_with_descriptor(int socket, const void *bytes, size_t count, int descriptor) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

    if (descriptor >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.space;
        message.msg_controllen = sizeof control.space;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t martlet_receive_with_descriptors(int socket, void *bytes, size_t count, int *descriptors,
    int *descriptor_count) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * MARTLET_DESCRIPTORS_MAX)];
    } control;
    struct iovec vector = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
    int taken = 0;
    int surplus = 0;

    *descriptor_count = 0;
    ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (received < 0) return -1;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t amount = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t index = 0; index < amount; index++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(header) + index * sizeof(int), sizeof(int));
            if (taken < MARTLET_DESCRIPTORS_MAX) {
                descriptors[taken++] = descriptor;
            } else {
                close(descriptor);
                surplus = 1;
            }
        }
    }
    if (surplus || (message.msg_flags & MSG_CTRUNC)) {
        while (taken > 0) close(descriptors[--taken]);
        errno = EPROTO;
        return -1;
    }
    *descriptor_count = taken;
    return received;
}

int martlet_peer_credentials(int socket, uid_t *uid, gid_t *gid, pid_t *pid) {
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return -1;
    *uid = credentials.uid;
    *gid = credentials.gid;
    *pid = credentials.pid;
    return 0;
}

int martlet_accept(int socket, struct sockaddr_storage *address, socklen_t *length) {
    *length = sizeof *address;
    return accept4(socket, (struct sockaddr *)address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int martlet_local_address(int socket, struct sockaddr_storage *address, socklen_t *length) {
    *length = sizeof *address;
    return getsockname(socket, (struct sockaddr *)address, length);
}

int martlet_bind(int socket, const void *address, socklen_t length) { return bind(socket, address, length); }

int martlet_connect(int socket, const void *address, socklen_t length) { return connect(socket, address, length); }

int martlet_open_at(int directory, const char *path, int flags, unsigned int mode) {
    return openat(directory, path, flags | O_CLOEXEC, mode);
}

int martlet_open_beneath(int directory, const char *path, int flags, unsigned int mode) {
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

int martlet_duplicate(int descriptor, int lowest) { return fcntl(descriptor, F_DUPFD_CLOEXEC, lowest); }

int martlet_set_nonblocking(int descriptor, int enabled) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0) return -1;
    return fcntl(descriptor, F_SETFL, enabled ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

int martlet_set_close_on_exec(int descriptor, int enabled) {
    return fcntl(descriptor, F_SETFD, enabled ? FD_CLOEXEC : 0);
}

int martlet_wait_exclusively(int epoll, int descriptor) {
    struct epoll_event wanted = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = descriptor};

    /* What is exclusive is so from the beginning: it cannot be changed into that. */
    if (epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, NULL) != 0) return -1;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &wanted) == 0) return 0;
    wanted.events = EPOLLIN;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &wanted);
}
