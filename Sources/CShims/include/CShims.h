// The few machine instructions and libc calls that Swift cannot express: prefetch, CRC32C, errno-free wrappers, fork, signal
// handlers.
#ifndef CSHIMS_H
#define CSHIMS_H
#include <stddef.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/types.h>
#include <sys/uio.h>

/// Asks the CPU to bring the cache line at `p` near. Never faults.
static inline void cshims_prefetch(const void *p) { __builtin_prefetch(p, 0, 3); }

/// CRC32C (Castagnoli, reflected, initial value and final xor 0xFFFFFFFF) of `length` bytes, continuing from `crc`
/// (0 for a new one). Uses the CPU's instruction where there is one.
uint32_t cshims_crc32c(uint32_t crc, const void *data, size_t length);

/// Writes `value` as printf's "%.17g" does; `out` has room for 32 bytes. Returns the length.
int cshims_format_double(char *out, double value);

/// Names the calling thread; at most 15 bytes count.
void cshims_set_thread_name(const char *name);

/// The calling thread does not interrupt others when it has work (SCHED_BATCH), and gets a tenth of the time that they
/// get (nice 10) where they share a core. What the system refuses is left as it is.
void cshims_yield_to_others(void);

/// The calling thread runs in slices of 0.1 ms, so that it interrupts others when it has work. Linux 6.12 and later; before,
/// and where the system refuses it, nothing changes.
void cshims_run_in_short_slices(void);

/// Asks the kernel to begin writing `length` bytes from `offset` to the disk, and does not wait. Nothing becomes durable by
/// it; what the system refuses is left as it is.
void cshims_begin_writeback(int file, int64_t offset, int64_t length);

/// Where `needle` first occurs in `data`, or NULL.
const void *cshims_find(const void *data, size_t length, const void *needle, size_t needle_length);

/// Accepts a connection: a non-blocking descriptor, closed on exec; -1 with errno.
int cshims_accept(int listener);

/// recv(2) without flags, send(2) and sendmsg(2) that raise no SIGPIPE, and epoll_wait(2): results and errno as there.
ssize_t cshims_receive(int socket, void *bytes, size_t size);
ssize_t cshims_send(int socket, const void *bytes, size_t size);
ssize_t cshims_send_vectors(int socket, const struct iovec *vectors, size_t count);
int cshims_epoll_wait(int poll, struct epoll_event *events, int capacity, int milliseconds);

/// Sets disk blocks aside for a file without changing its size: 0, or -1 with errno.
int cshims_allocate(int file, int64_t offset, int64_t length);

/// argv[0] as the process was started with; NULL where it has none.
const char *cshims_first_argument(void);

/// Has ps and top show `title` for this process, cut to the room that arguments and environment had. Nothing may hold on to
/// these, as their memory is written over; the environment is copied before.
void cshims_set_process_title(const char *title);

/// Goes on in a child in the background, in a session of its own, with /dev/null for standard input and output; the parent
/// ends. Only before there are threads. 0, or -1 with errno.
int cshims_daemonize(void);

/// Has a crash write a report with a stack trace to the file at `path`, or to standard output where that is empty, before it
/// ends the process. `name` opens it. Both are copied, cut where they are too long.
void cshims_report_crashes(const char *path, const char *name);
/// Takes that back.
void cshims_ignore_crashes(void);

/// Refuses the calling thread what SQLite would allocate for it beyond so many bytes from here on; 0: no limit. Connections
/// that it opens from here on are to be closed before the limit is taken back.
void cshims_sqlite_limit_memory(int64_t bytes);
/// Sets a connection of SQLite up for statements that are not trusted. SQLite's result code.
int cshims_sqlite_distrust(void *connection);

#endif
