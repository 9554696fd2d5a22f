// Ends scripts that run for too long: whoever embeds the host is asked now and then, and what it says cannot be caught.
#include "host.h"
#include <string.h>
#include <time.h>

enum {
    most_instructions = 50000,
    least_instructions = 4,
    /// Of `charge`: about a millisecond.
    work_between = 1000000,
    /// A run that holds more than a half of what it may is collected when it has grown by this share of the limit.
    growth_share = 8,
};

/// Instructions times bytes held: one instruction may compare, copy or scan all that is held, in a second for so many bytes.
static const size_t bytes_between = 4000000000;

static void hook(lua_State *L, lua_Debug *activation);

/// In some milliseconds; reading it costs a few nanoseconds.
static int64_t coarse_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void ask(lua_State *L) {
    lua_host *host = host_of(L);
    int64_t now = coarse_time();
    if (now == host->asked && !host->is_interrupted) return;
    host->asked = now;
    if (!host->is_interrupted && host->callbacks.interrupt != NULL) {
        lua_host_bytes said = host->callbacks.interrupt(host->callbacks.context);
        if (said.bytes == NULL) return;
        host->is_interrupted = true;
        host->interruption.count = 0;
        // Where there is no memory for the message there is none for the script either; it ends all the same.
        if (buffer_try_reserve(host, &host->interruption, said.count)) {
            memcpy(host->interruption.bytes, said.bytes, said.count);
            host->interruption.count = said.count;
        }
    }
    raise_interruption(L);
}

void raise_interruption(lua_State *L) {
    lua_host *host = host_of(L);
    if (!host->is_interrupted) return;
    // What runs on in a message handler, or in whatever else takes errors for a while, ends at its next instruction.
    hook_soon(L);
    push_error(L, host->interruption.bytes, host->interruption.count, false);
    lua_error(L);
}

/// Lua collects by what was allocated since the last collection, and knows of no limit: near it, it would fail with
/// garbage that could be freed.
static void collect_near_the_limit(lua_State *L) {
    lua_host *host = host_of(L);
    size_t growth = host->memory_limit / growth_share;
    if (host->memory <= host->memory_limit / 2 || host->memory < host->memory_collected + growth) return;
    lua_gc(L, LUA_GCCOLLECT, 0);
    host->memory_collected = host->memory;
}

static void hook(lua_State *L, lua_Debug *activation) {
    (void)activation;
    raise_interruption(L);
    collect_near_the_limit(L);
    install_hook(L);
    ask(L);
}

void install_hook(lua_State *L) {
    lua_host *host = host_of(L);
    size_t count = bytes_between / (host->memory + 1);
    count = count > most_instructions ? most_instructions : count < least_instructions ? least_instructions : count;
    host->memory_hooked = host->memory * 2;
    if (lua_gethook(L) != hook || lua_gethookcount(L) != (int)count) lua_sethook(L, hook, LUA_MASKCOUNT, (int)count);
}

void hook_soon(lua_State *L) { lua_sethook(L, hook, LUA_MASKCOUNT, 1); }

void charge(lua_State *L, size_t work) {
    lua_host *host = host_of(L);
    host->work += work;
    if (host->work < work_between) return;
    host->work = 0;
    ask(L);
}
