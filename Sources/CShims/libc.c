#define _GNU_SOURCE
#include "CShims.h"
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

void cshims_set_thread_name(const char *name) { pthread_setname_np(pthread_self(), name); }

const void *cshims_find(const void *data, size_t length, const void *needle, size_t needle_length) {
    return memmem(data, length, needle, needle_length);
}

int cshims_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }
