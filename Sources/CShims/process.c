// What a process does about itself: goes into the background, shows a title, says how it crashed. All of it is called by
// one thread, before there are others; the crash report by whichever crashes.
#define _GNU_SOURCE
#include "CShims.h"
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

// The memory of arguments and environment, which the kernel shows as the process's command line.
static char *title_start;
static size_t title_room;

// glibc gives initialisers the arguments of main; Swift keeps copies only.
__attribute__((constructor)) static void note_arguments(int argc, char **argv, char **envp) {
    (void)envp;
    if (argc < 1 || !argv[0]) return;
    char *end = argv[0];
    for (int i = 0; i < argc; i++) {
        if (argv[i] != end) break;
        end = argv[i] + strlen(argv[i]) + 1;
    }
    for (int i = 0; environ[i]; i++) {
        if (environ[i] != end) break;
        end = environ[i] + strlen(environ[i]) + 1;
    }
    title_start = argv[0];
    title_room = (size_t)(end - argv[0]);
}

const char *cshims_first_argument(void) { return title_start; }

void cshims_set_process_title(const char *title) {
    static int is_moved;
    if (!title_start) return;
    if (!is_moved) {
        is_moved = 1;
        for (int i = 0; environ[i]; i++) {
            if (environ[i] < title_start || environ[i] >= title_start + title_room) continue;
            char *copy = strdup(environ[i]);
            if (!copy) return;
            environ[i] = copy;
        }
    }
    size_t length = strlen(title);
    if (length > title_room - 1) length = title_room - 1;
    memcpy(title_start, title, length);
    memset(title_start + length, 0, title_room - length);
}

int cshims_daemonize(void) {
    pid_t child = fork();
    if (child < 0) return -1;
    if (child > 0) _exit(0);
    setsid();
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        for (int i = 0; i <= 2; i++) dup2(null, i);
        if (null > 2) close(null);
    }
    return 0;
}

// --- Crashes. Only what is safe in a handler of signals: no allocation, no locks. ---

static char report_path[4096];
static char report_name[64];
static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};

static void put(int file, const char *text) {
    if (write(file, text, strlen(text)) < 0) return;
}
static void put_number(int file, int number) {
    char digits[12];
    char *at = digits + sizeof digits;
    *--at = 0;
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(file, at);
}

static void crashed(int number) {
    int file = report_path[0] ? open(report_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : 1;
    if (file >= 0) {
        put(file, "\n=== CRASH REPORT: cut from here ===\n");
        put(file, report_name);
        put(file, " (pid ");
        put_number(file, getpid());
        put(file, ") crashed by signal: ");
        put_number(file, number);
        put(file, "\n------ STACK TRACE ------\n");
        void *frames[100];
        backtrace_symbols_fd(frames, backtrace(frames, 100), file);
        put(file, "=== END OF THE CRASH REPORT: please send it with what the log said before ===\n");
    }
    // The handler is gone with its first use: the signal ends the process as it would have.
    raise(number);
}

void cshims_report_crashes(const char *path, const char *name) {
    strncpy(report_path, path, sizeof report_path - 1);
    strncpy(report_name, name, sizeof report_name - 1);
    // The first call loads a library, which no handler may do.
    void *frame;
    backtrace(&frame, 1);
    struct sigaction action = {.sa_handler = crashed, .sa_flags = SA_RESETHAND | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++) sigaction(crashes[i], &action, NULL);
}

void cshims_ignore_crashes(void) {
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++) signal(crashes[i], SIG_DFL);
}
