// The host of Lua 5.1 for scripts and functions. Lua's errors are longjmps: everything on Lua's stack is done here, in C, and
// what is asked of the other side (`lua_host_callbacks`) returns before anything can be raised, so that no frame but C's
// and Lua's lies under a jump.
//
// One thread at a time uses a host. Bytes that are handed over are valid until the next call of the same host, or until the
// callback returns.
#ifndef LUA_HOST_H
#define LUA_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lua_host lua_host;

typedef struct {
    const char *bytes;
    size_t count;
} lua_host_bytes;

/// What a script's end in an error says.
typedef struct {
    /// Without line breaks. Of an error in Lua code it begins with "name:line:", as Lua words it.
    lua_host_bytes message;
    /// Where the script was, as Redis prints it: "@user_script". Empty: not known; there is no line then.
    lua_host_bytes source;
    int line;
    /// The error is one that a command answered, or a table that a script made: its message begins with its code. Others
    /// get "ERR " from the caller.
    bool has_code;
    /// A command answered it, so that statistics of errors have it already (`ignore_error_stats_update`).
    bool counted;
    /// The code was compiled: the error came when it ran.
    bool compiled;
} lua_host_error;

/// What a new host is for.
typedef struct {
    /// There is redis.register_function, there are no globals KEYS and ARGV.
    bool for_functions;
    /// Bytes that Lua and this host may hold; more is an error in the script.
    size_t memory_limit;
    /// redis.REDIS_VERSION, "7.2.0" say, which REDIS_VERSION_NUM follows from. Copied.
    const char *version;
} lua_host_options;

/// Of a function that is registered, in `flags`.
enum {
    lua_host_no_writes = 1,
    lua_host_allow_oom = 2,
    lua_host_allow_stale = 4,
    lua_host_no_cluster = 8,
    lua_host_allow_cross_slot_keys = 16,
};

typedef struct {
    /// Of whoever embeds the host; handed to each callback.
    void *context;
    /// Executes a command: its whole reply in RESP of version `resp` (2 or 3).
    lua_host_bytes (*execute)(void *context, const lua_host_bytes *arguments, int count, int resp);
    /// redis.acl_check_cmd: 1: allowed; 0: not; -1: there is no such command.
    int (*may_execute)(void *context, const lua_host_bytes *arguments, int count);
    /// redis.set_repl: 1 AOF, 2 replicas.
    void (*set_replication)(void *context, int targets);
    /// redis.log: levels 0 (debug) to 3 (warning).
    void (*log)(void *context, int level, lua_host_bytes text);
    /// Called now and then while Lua code runs, and in every loop of C code that has no bound. Anything but a NULL of bytes ends
    /// the script with that error ("-CODE text", or a text that gets "ERR "), which pcall does not catch.
    lua_host_bytes (*interrupt)(void *context);
    /// A piece of the reply, in RESP.
    void (*write)(void *context, lua_host_bytes piece);
    /// An error in the reply, which may be all of it: its text, with its code; `counted` as in `lua_host_error`. NULL: unwanted.
    void (*wrote_error)(void *context, lua_host_bytes text, bool counted);
    /// redis.register_function: NULL, or the error. `reference` is what `lua_host_run` takes.
    lua_host_bytes (*register_function)(
        void *context, lua_host_bytes name, lua_host_bytes description, unsigned flags, int reference);
    /// Lower-case hexadecimal digits of SHA-1.
    void (*sha1)(void *context, lua_host_bytes bytes, char digits[40]);
} lua_host_callbacks;

/// A new Lua state with the sandbox, or NULL where there is no memory.
lua_host *lua_host_new(const lua_host_callbacks *callbacks, const lua_host_options *options);
void lua_host_free(lua_host *host);
/// Bytes that Lua and this host hold.
size_t lua_host_memory(const lua_host *host);
/// A step of the garbage collector; called after scripts, so that none pays for all.
void lua_host_collect(lua_host *host);

/// Compiles a script's text (bytecode is refused). `name` without '@': "user_script". A reference of 0 or more, or -1 and `error`.
int lua_host_compile(lua_host *host, lua_host_bytes name, lua_host_bytes code, lua_host_error *error);
/// Executes a library's code, in which redis.register_function may be called and redis.call may not. False: `error`, whose
/// `compiled` says which of Redis's two texts goes before it. What was registered before it failed is for the caller to
/// release.
bool lua_host_load_library(lua_host *host, lua_host_bytes name, lua_host_bytes code, lua_host_error *error);
void lua_host_release(lua_host *host, int reference);

/// Runs a compiled script, with globals KEYS and ARGV, or a function, with two arguments. Its result is written in RESP of
/// version `resp`, that of the client. False: `error`; nothing of a reply was written then. A result may be an error too
/// (`return redis.pcall(…)`): true, the reply begins with '-', and of `error` only `counted` is set.
bool lua_host_run(
    lua_host *host, int reference, const lua_host_bytes *keys, int key_count, const lua_host_bytes *arguments,
    int argument_count, int resp, lua_host_error *error);

#endif
