// What the files of this host share: its state, its memory, errors. Every function that takes a `lua_State` may raise (jump)
// unless it says otherwise, and so runs under a lua_pcall.
#ifndef CLUA_HOST_H
#define CLUA_HOST_H

// For memmem and the coarse clock.
#define _GNU_SOURCE 1

#include "lua_host.h"
#include <lua5.1/lauxlib.h>
#include <lua5.1/lua.h>
#include <lua5.1/lualib.h>

/// Bytes outside Lua's heap, counted with it, and kept from one use to the next.
typedef struct {
    char *bytes;
    size_t count;
    size_t capacity;
} text_buffer;

struct lua_host {
    lua_State *state;
    lua_host_callbacks callbacks;
    bool for_functions;
    char version[32];
    /// Bytes held, and their bound. A bound of SIZE_MAX while the host itself is made.
    size_t memory;
    size_t memory_limit;
    /// Held after the last full collection that the hook made.
    size_t memory_collected;
    /// Beyond it, the hook is to be called earlier: an instruction may walk through all that is held.
    size_t memory_hooked;
    /// Whose code runs; NULL while the host is made.
    lua_State *current;

    /// Of the run: a library's code is executed; the version of RESP that redis.call asks for.
    bool is_loading;
    bool is_running;
    /// A script has stopped Lua's collector.
    bool is_collector_stopped;
    int resp;
    /// What the interrupt said, once it said something: every pcall raises it anew.
    bool is_interrupted;
    text_buffer interruption;
    /// Work of C loops since the interrupt was last asked.
    size_t work;
    /// When the interrupt was last asked, in ticks of the coarse clock.
    int64_t asked;
    uint64_t random_state;

    /// Where the error was raised, by the handler of lua_pcall.
    char error_source[64];
    int error_line;
    bool error_has_code;
    bool error_is_counted;
    /// There was no memory for the message.
    bool error_is_unknown;
    text_buffer error_message;

    /// Of redis.call: the arguments, and the digits of those that are numbers.
    lua_host_bytes *arguments;
    size_t argument_capacity;
    text_buffer digits;
    text_buffer reply;
    /// Of functions that build a string and call no Lua code meanwhile.
    text_buffer scratch;

    /// cjson's own functions.
    lua_CFunction json_encode;
    lua_CFunction json_decode;

    /// In the registry.
    int run_reference;
    int compile_reference;
    int collect_reference;
    int collect_all_reference;
    int handler_reference;
    int globals_reference;
    int load_globals_reference;
    int environment_meta_reference;
    int index_name_reference;
};

/// The host of a state: the context of its allocator.
static inline lua_host *host_of(lua_State *L) {
    void *host;
    lua_getallocf(L, &host);
    return host;
}

// memory.c
void *host_allocate(void *host, void *block, size_t old_size, size_t new_size);
/// Makes room for `more` bytes; false, and nothing is changed, where the limit or memory does not allow it. Never raises.
bool buffer_try_reserve(lua_host *host, text_buffer *buffer, size_t more);
void buffer_reserve(lua_State *L, text_buffer *buffer, size_t more);
void buffer_append(lua_State *L, text_buffer *buffer, const char *bytes, size_t count);
/// Gives back what is large, and forgets the rest. Never raises.
void buffer_shrink(lua_host *host, text_buffer *buffer);
void buffer_free(lua_host *host, text_buffer *buffer);
/// Bytes that may still be held, after a collection if `wanted` is more than there is.
size_t host_headroom(lua_State *L, size_t wanted);
/// Raises "not enough memory", without a position, as Lua does.
int raise_memory(lua_State *L);

// interrupt.c
/// Has the interrupt asked after some instructions, the fewer the more is held. Never raises.
void install_hook(lua_State *L);
/// Has it asked at the next instruction. Never raises.
void hook_soon(lua_State *L);
/// Counts work of a loop that no Lua instruction bounds, in units of about a nanosecond; asks the interrupt now and then.
void charge(lua_State *L, size_t work);
/// Raises the interruption anew, if there is one.
void raise_interruption(lua_State *L);

// errors.c
/// Pushes the table of an error: "-CODE text", or a text that gets ERR.
void push_error(lua_State *L, const char *bytes, size_t count, bool counted);
/// Raises such an error.
int raise_error(lua_State *L, const char *text);
/// The message handler of lua_pcall: notes where the error is.
int note_error_place(lua_State *L);
/// Notes the error on the stack's top in the host, for `lua_host_error`.
void note_error(lua_State *L);

// replies.c
/// Pushes what a reply in RESP is in Lua.
void push_reply(lua_State *L, lua_host_bytes reply);
// results.c
/// Appends the value on the stack's top to the host's reply, in RESP of version `resp`; pops it.
void append_result(lua_State *L, int resp);

// numbers.c
/// Writes a number as Redis hands it to a command, to at least 32 bytes: the length. Never raises.
size_t write_number(double number, char *out);
size_t write_integer(long long number, char *out);

// sandbox.c
/// Replaces the table at the stack's top by a read-only one that shows it.
void protect(lua_State *L);
/// Has a read-only table at `index` (positive) replaced by the one that it shows.
void see_through(lua_State *L, int index);
/// Raises "Attempt to modify a readonly table" if that is what is at `index`.
void check_writable(lua_State *L, int index);
int raise_readonly(lua_State *L);
void open_sandbox(lua_State *L);
/// Which globals a library's code sees while it is loaded, and afterwards. Sets what is there and pushes no new string, so
/// that it never raises.
void select_globals(lua_State *L, bool loading);

// The libraries. Each leaves its table on the stack; `open_base` its functions in the table on the stack's top.
void open_base(lua_State *L);
void open_coroutine(lua_State *L);
void open_math(lua_State *L);
/// The state of the random numbers from a seed.
uint64_t random_start(int seed);
void open_string(lua_State *L);
void open_table(lua_State *L);
void open_json(lua_State *L);
void open_bit(lua_State *L);
void open_struct(lua_State *L);
void open_msgpack(lua_State *L);
void open_redis(lua_State *L);
void open_redis_for_loading(lua_State *L);

/// A chunk of source text: compiled, or a message, on the stack; what lua_load returns.
int load_text(lua_State *L, const char *bytes, size_t count, const char *chunk_name);

#endif
