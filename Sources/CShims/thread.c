#define _GNU_SOURCE
#include "CShims.h"
#include <pthread.h>

void cshims_set_thread_name(const char *name) { pthread_setname_np(pthread_self(), name); }
