/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE 1
#include "CPosix.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void martlet_close_from(int first) { (void)syscall(SYS_close_range, first, ~0U, 0); }

/* Between fork and exec: only calls that are safe after fork, and every failure is written to `report`. */
static void become_child(const struct martlet_child *child, int report, pid_t parent) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    int null = -1;

    for (int number = 1; number < NSIG; number++) (void)sigaction(number, &action, NULL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (child->new_session) (void)setsid();

    /* Out of the way of 0 to 3 first, so that no dup2 below overwrites one that is still needed. */
    int executable = fcntl(child->executable, F_DUPFD_CLOEXEC, 16);
    int channel = child->channel < 0 ? -1 : fcntl(child->channel, F_DUPFD_CLOEXEC, 16);
    int errors = fcntl(child->errors, F_DUPFD_CLOEXEC, 16);
    int input = child->input < 0 ? -1 : fcntl(child->input, F_DUPFD_CLOEXEC, 16);
    int output = child->output < 0 ? -1 : fcntl(child->output, F_DUPFD_CLOEXEC, 16);
    int status = fcntl(report, F_DUPFD_CLOEXEC, 16);
    if (executable < 0 || errors < 0 || status < 0) goto failed;
    report = status;
    null = open("/dev/null", O_RDWR);
    if (null < 0) goto failed;
    if (dup2(input < 0 ? null : input, 0) < 0 || dup2(output < 0 ? null : output, 1) < 0) goto failed;
    if (dup2(errors, 2) < 0) goto failed;
    if (channel >= 0) {
        if (dup2(channel, 3) < 0) goto failed;
    } else {
        (void)close(3);
    }
    /* All others go at exec by their close-on-exec flag; this catches any that lacks it. */
    (void)syscall(SYS_close_range, 4, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);

    if (child->directory != NULL && chdir(child->directory) != 0 && chdir("/") != 0) goto failed;
    if (child->changes_identity) {
        if (setgroups(1, &child->gid) != 0) goto failed;
        if (setresgid(child->gid, child->gid, child->gid) != 0) goto failed;
        if (setresuid(child->uid, child->uid, child->uid) != 0) goto failed;
        if (child->uid != 0 && setuid(0) == 0) {
            errno = EPERM;
            goto failed;
        }
    }
    if (child->forbids_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) goto failed;
    /* After the change of identity, which clears it. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) goto failed;
    if (getppid() != parent) _exit(1);
    (void)syscall(SYS_execveat, executable, "", child->arguments, child->environment, AT_EMPTY_PATH);
failed:;
    int reason = errno;
    (void)!write(report, &reason, sizeof reason);
    _exit(127);
}

pid_t martlet_spawn(const struct martlet_child *child) {
    int report[2];
    int reason = 0;
    sigset_t all, previous;

    if (pipe2(report, O_CLOEXEC) != 0) return -1;
    pid_t parent = getpid();
    sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &previous);
    pid_t pid = fork();
    if (pid == 0) become_child(child, report[1], parent);
    int fork_error = errno;
    (void)sigprocmask(SIG_SETMASK, &previous, NULL);
    close(report[1]);
    if (pid < 0) {
        close(report[0]);
        errno = fork_error;
        return -1;
    }
    ssize_t count;
    do {
        count = read(report[0], &reason, sizeof reason);
    } while (count < 0 && errno == EINTR);
    close(report[0]);
    if (count == sizeof reason) {
        (void)waitpid(pid, NULL, 0);
        errno = reason;
        return -1;
    }
    return pid;
}

int martlet_bind_to_parent(pid_t expected_parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0) return -1;
    if (getppid() != expected_parent) {
        errno = ESRCH;
        return -1;
    }
    return 0;
}

int martlet_take_identity(uid_t uid, gid_t gid) {
    // The group goes first on the way down, the user first on the way back: each needs root.
    if (uid != 0) {
        return syscall(SYS_setgroups, 0, NULL) == 0 && syscall(SYS_setresgid, -1, gid, -1) == 0 &&
                       syscall(SYS_setresuid, -1, uid, -1) == 0
                   ? 0
                   : -1;
    }
    return syscall(SYS_setresuid, -1, 0, -1) == 0 && syscall(SYS_setresgid, -1, gid, -1) == 0 ? 0 : -1;
}

int martlet_outlive_parent(void) { return prctl(PR_SET_PDEATHSIG, 0); }

int martlet_set_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }

int martlet_drop_bounding_set(void) {
    for (int capability = 0; capability <= 63; capability++) {
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return errno == EINVAL ? 0 : -1;
    }
    return 0;
}

int martlet_set_ids(uid_t uid, gid_t gid) {
    if (setgroups(0, NULL) != 0) return -1;
    if (setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) return -1;
    if ((uid != 0 && (setuid(0) == 0 || seteuid(0) == 0)) || (gid != 0 && (setgid(0) == 0 || setegid(0) == 0))) {
        errno = EPERM;
        return -1;
    }
    return 0;
}

int martlet_clear_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return (int)syscall(SYS_capset, &header, data);
}

int martlet_unshare(int network, int ipc, int mount) {
    return unshare((network ? CLONE_NEWNET : 0) | (ipc ? CLONE_NEWIPC : 0) | (mount ? CLONE_NEWNS : 0));
}

int martlet_memory_lock_all(void) { return mlockall(MCL_CURRENT | MCL_FUTURE); }

int martlet_exited_normally(int status) { return WIFEXITED(status); }
int martlet_exit_status(int status) { return WEXITSTATUS(status); }
int martlet_signal_number(int status) { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }
