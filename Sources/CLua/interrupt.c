// Ends scripts that run for too long: whoever embeds the host is asked now and then, and what it says cannot be caught.
#include "host.h"

enum {
    instructions_between = 100000,
    instructions_once_interrupted = 1,
    /// Of `charge`: about a millisecond.
    work_between = 1000000,
    /// A run that holds more than a half of what it may is collected when it has grown by this share of the limit.
    growth_share = 8,
};

static void hook(lua_State *L, lua_Debug *activation);

static void ask(lua_State *L) {
    lua_host *host = host_of(L);
    if (!host->is_interrupted && host->callbacks.interrupt != NULL) {
        lua_host_bytes said = host->callbacks.interrupt(host->callbacks.context);
        if (said.bytes == NULL) return;
        host->is_interrupted = true;
        host->interruption.count = 0;
        // Where there is no memory for the message there is none for the script either; it ends all the same.
        if (buffer_try_reserve(host, &host->interruption, said.count)) {
            for (size_t i = 0; i < said.count; i++) host->interruption.bytes[i] = said.bytes[i];
            host->interruption.count = said.count;
        }
    }
    raise_interruption(L);
}

void raise_interruption(lua_State *L) {
    lua_host *host = host_of(L);
    if (!host->is_interrupted) return;
    // What runs on in a message handler, or in whatever else takes errors for a while, ends at its next instruction.
    lua_sethook(L, hook, LUA_MASKCOUNT, instructions_once_interrupted);
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
    collect_near_the_limit(L);
    ask(L);
}

void install_hook(lua_State *L) { lua_sethook(L, hook, LUA_MASKCOUNT, instructions_between); }

void charge(lua_State *L, size_t work) {
    lua_host *host = host_of(L);
    host->work += work;
    if (host->work < work_between) return;
    host->work = 0;
    ask(L);
}
