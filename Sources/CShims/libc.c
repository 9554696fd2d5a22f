#define _GNU_SOURCE
#include "CShims.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

void cshims_set_thread_name(const char *name) { pthread_setname_np(pthread_self(), name); }

void cshims_yield_to_others(void) {
    struct sched_param none = {0};
    pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 10);
}

void cshims_run_in_short_slices(void) {
    // As sched_setattr(2) has it; glibc before 2.41 does not declare it.
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attributes = {.size = sizeof attributes, .policy = SCHED_OTHER, .runtime = 100000};
    attributes.nice = getpriority(PRIO_PROCESS, 0);
    syscall(SYS_sched_setattr, 0, &attributes, 0);
}

void cshims_begin_writeback(int file, int64_t offset, int64_t length) {
    sync_file_range(file, offset, length, SYNC_FILE_RANGE_WRITE);
}

const void *cshims_find(const void *data, size_t length, const void *needle, size_t needle_length) {
    return memmem(data, length, needle, needle_length);
}

int cshims_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }

int cshims_allocate(int file, int64_t offset, int64_t length) {
    return fallocate(file, FALLOC_FL_KEEP_SIZE, offset, length);
}

// Through syscall(2): the wrappers of a process with threads are cancellation points, which cost two atomic operations.

ssize_t cshims_receive(int socket, void *bytes, size_t size) {
    return syscall(SYS_recvfrom, socket, bytes, size, 0, NULL, NULL);
}

ssize_t cshims_send(int socket, const void *bytes, size_t size) {
    return syscall(SYS_sendto, socket, bytes, size, MSG_NOSIGNAL, NULL, 0);
}

ssize_t cshims_send_vectors(int socket, const struct iovec *vectors, size_t count) {
    struct msghdr message = {.msg_iov = (struct iovec *)vectors, .msg_iovlen = count};
    return syscall(SYS_sendmsg, socket, &message, MSG_NOSIGNAL);
}

int cshims_epoll_wait(int poll, struct epoll_event *events, int capacity, int milliseconds) {
    return (int)syscall(SYS_epoll_pwait, poll, events, capacity, milliseconds, NULL, 0);
}
