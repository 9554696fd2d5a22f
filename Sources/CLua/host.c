// Making a host, compiling and running. Each entry is a C function under lua_pcall, so that no error leaves Lua.
#include "host.h"
#include <stdlib.h>
#include <string.h>

/// The name that the error of a script has: Lua takes what follows '@' for a file's.
enum { longest_name = 60 };

/// Bytes that may be held before garbage is looked for, and the pause of Lua's collector in percent.
enum { memory_kept = 192 * 1024, usual_pause = 200 };

/// What POSIX's generator has before it is seeded.
static const uint64_t random_at_start = UINT64_C(0x1234ABCD330E);

/// Handed to the entries.
typedef struct {
    int reference;
    const lua_host_bytes *keys;
    const lua_host_bytes *arguments;
    int key_count;
    int argument_count;
    int resp;
    lua_host_bytes name;
    lua_host_bytes code;
    bool is_library;
    /// False: the host's error was noted.
    bool succeeded;
    bool compiled;
} request;

static void push_array(lua_State *L, const lua_host_bytes *elements, int count) {
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_pushlstring(L, elements[i].bytes, elements[i].count);
        lua_rawseti(L, -2, i + 1);
    }
}

/// Pushes what a script or function gets: the count of arguments on the stack.
static int push_parameters(lua_State *L, const request *r) {
    lua_host *host = host_of(L);
    if (host->for_functions) {
        push_array(L, r->keys, r->key_count);
        push_array(L, r->arguments, r->argument_count);
        return 2;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, host->globals_reference);
    lua_pushliteral(L, "KEYS");
    push_array(L, r->keys, r->key_count);
    lua_rawset(L, -3);
    lua_pushliteral(L, "ARGV");
    push_array(L, r->arguments, r->argument_count);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    return 0;
}

static int run(lua_State *L) {
    lua_host *host = host_of(L);
    request *r = lua_touserdata(L, 1);
    lua_settop(L, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, host->handler_reference);
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->reference);
    int count = push_parameters(L, r);
    if (lua_pcall(L, count, 1, 1) != 0) {
        note_error(L);
        return 0;
    }
    host->reply.count = 0;
    host->error_is_counted = false;
    if (lua_istable(L, -1)) {
        lua_pushliteral(L, "ignore_error_stats_update");
        lua_rawget(L, -2);
        host->error_is_counted = lua_toboolean(L, -1);
        lua_pop(L, 1);
    }
    append_result(L, r->resp);
    r->succeeded = true;
    return 0;
}

static int compile(lua_State *L) {
    lua_host *host = host_of(L);
    request *r = lua_touserdata(L, 1);
    char name[longest_name + 2] = "@";
    size_t length = r->name.count > longest_name ? longest_name : r->name.count;
    memcpy(name + 1, r->name.bytes, length);
    lua_settop(L, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, host->handler_reference);
    if (load_text(L, r->code.bytes, r->code.count, name) != 0) {
        note_error(L);
        return 0;
    }
    r->compiled = true;
    if (!r->is_library) {
        r->reference = luaL_ref(L, LUA_REGISTRYINDEX);
    } else if (lua_pcall(L, 0, 0, 1) != 0) {
        note_error(L);
        return 0;
    }
    r->succeeded = true;
    return 0;
}

static int collect_all(lua_State *L) {
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

/// A step where more than a little is held; all of it where so much is that the next script would find no room.
static int collect(lua_State *L) {
    lua_host *host = host_of(L);
    if (host->memory > host->memory_limit / 2) return collect_all(L);
    if (host->memory > memory_kept) lua_gc(L, LUA_GCSTEP, 1);
    return 0;
}

/// Calls an entry; false: it raised, for want of memory say, and the error was noted. It jumps out of nothing.
static bool enter(lua_host *host, int reference, void *context) {
    lua_State *L = host->state;
    host->error_source[0] = 0;
    host->error_line = 0;
    host->error_message.count = 0;
    host->error_is_unknown = false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
    lua_pushlightuserdata(L, context);
    int status = lua_pcall(L, 1, 0, 0);
    if (status != 0) {
        host->error_has_code = false;
        host->error_is_counted = false;
        host->error_message.count = 0;
        size_t count = 0;
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &count) : NULL;
        if (text != NULL && buffer_try_reserve(host, &host->error_message, count)) {
            memcpy(host->error_message.bytes, text, count);
            host->error_message.count = count;
        } else {
            host->error_is_unknown = true;
        }
    }
    lua_settop(L, 0);
    return status == 0;
}

static void describe_error(const lua_host *host, const request *r, lua_host_error *error) {
    static const char unknown[] = "not enough memory";
    *error = (lua_host_error){
        .message = {host->error_message.bytes, host->error_message.count},
        .source = {host->error_source, strlen(host->error_source)},
        .line = host->error_line,
        .has_code = host->error_has_code,
        .counted = host->error_is_counted,
        .compiled = r->compiled,
    };
    if (error->message.bytes == NULL) error->message.bytes = "";
    if (host->error_is_unknown) error->message = (lua_host_bytes){unknown, sizeof unknown - 1};
}

/// Garbage is collected when twice as much is held as was in use; below `memory_kept` later, as there each script would pay for
/// looking through the libraries again and again.
static void set_pace(lua_host *host) {
    size_t pause = memory_kept * 100 / (host->memory + 1);
    lua_gc(host->state, LUA_GCSETPAUSE, pause < usual_pause ? usual_pause : (int)pause);
    lua_gc(host->state, LUA_GCSETSTEPMUL, usual_pause);
}

/// Of a run that ends: what it changed of Lua itself, and what it held, is as before.
static void settle(lua_host *host) {
    lua_State *L = host->state;
    host->is_interrupted = false;
    host->current = L;
    install_hook(L);
    host->is_running = false;
    host->is_loading = false;
    set_pace(host);
    // Not otherwise: it would begin to collect at once.
    if (host->is_collector_stopped) lua_gc(L, LUA_GCRESTART, 0);
    host->is_collector_stopped = false;
    buffer_shrink(host, &host->scratch);
    buffer_shrink(host, &host->digits);
}

static void prepare(lua_host *host) {
    buffer_shrink(host, &host->reply);
    buffer_shrink(host, &host->error_message);
    if (host->memory > host->memory_limit / 2) enter(host, host->collect_all_reference, NULL);
    host->work = 0;
    host->memory_collected = 0;
    install_hook(host->state);
    host->resp = 2;
    host->asked = 0;
    host->current = host->state;
}

bool lua_host_run(
    lua_host *host, int reference, const lua_host_bytes *keys, int key_count, const lua_host_bytes *arguments,
    int argument_count, int resp, lua_host_error *error) {
    request r = {
        .reference = reference,
        .keys = keys,
        .key_count = key_count,
        .arguments = arguments,
        .argument_count = argument_count,
        .resp = resp,
        .compiled = true,
    };
    prepare(host);
    host->is_running = true;
    bool succeeded = enter(host, host->run_reference, &r) && r.succeeded;
    settle(host);
    if (!succeeded) {
        describe_error(host, &r, error);
        return false;
    }
    *error = (lua_host_error){.counted = host->error_is_counted, .compiled = true};
    host->callbacks.write(host->callbacks.context, (lua_host_bytes){host->reply.bytes, host->reply.count});
    return true;
}

static bool compile_request(lua_host *host, request *r, lua_host_error *error) {
    prepare(host);
    bool succeeded = enter(host, host->compile_reference, r) && r->succeeded;
    settle(host);
    if (!succeeded) describe_error(host, r, error);
    return succeeded;
}

int lua_host_compile(lua_host *host, lua_host_bytes name, lua_host_bytes code, lua_host_error *error) {
    request r = {.name = name, .code = code};
    return compile_request(host, &r, error) ? r.reference : -1;
}

bool lua_host_load_library(lua_host *host, lua_host_bytes name, lua_host_bytes code, lua_host_error *error) {
    request r = {.name = name, .code = code, .is_library = true};
    host->is_loading = true;
    select_globals(host->state, true);
    bool succeeded = compile_request(host, &r, error);
    select_globals(host->state, false);
    return succeeded;
}

/// Sets what is there already, so that it allocates nothing and cannot fail: see `prepare_entries`.
void lua_host_release(lua_host *host, int reference) { luaL_unref(host->state, LUA_REGISTRYINDEX, reference); }

/// Calls and references once, when memory has no bound but the machine's.
static int prepare_entries(lua_State *L) {
    lua_host *host = host_of(L);
    lua_pushcfunction(L, run);
    host->run_reference = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushcfunction(L, compile);
    host->compile_reference = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushcfunction(L, collect);
    host->collect_reference = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushcfunction(L, collect_all);
    host->collect_all_reference = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushcfunction(L, note_error_place);
    host->handler_reference = luaL_ref(L, LUA_REGISTRYINDEX);
    open_sandbox(L);
    // The list of free references begins at 0, and ends with a 0 that is there: with nil, which Lua takes for it too, a table
    // that is full would have to grow when a reference is released.
    lua_pushinteger(L, 0);
    lua_rawseti(L, LUA_REGISTRYINDEX, 0);
    return 0;
}

lua_host *lua_host_new(const lua_host_callbacks *callbacks, const lua_host_options *options) {
    lua_host *host = calloc(1, sizeof(lua_host));
    if (host == NULL) return NULL;
    host->callbacks = *callbacks;
    host->for_functions = options->for_functions;
    strncpy(host->version, options->version, sizeof host->version - 1);
    host->memory_limit = SIZE_MAX;
    host->state = lua_newstate(host_allocate, host);
    if (host->state == NULL || lua_cpcall(host->state, prepare_entries, NULL) != 0) {
        lua_host_free(host);
        return NULL;
    }
    lua_settop(host->state, 0);
    set_pace(host);
    lua_gc(host->state, LUA_GCCOLLECT, 0);
    host->current = host->state;
    host->random_state = random_at_start;
    install_hook(host->state);
    host->memory_limit = options->memory_limit;
    return host;
}

void lua_host_free(lua_host *host) {
    if (host == NULL) return;
    if (host->state != NULL) {
        // A collection that a script has left in its midst does not go on while userdata are closed (CVE-2024-46981).
        if (host->current != NULL) enter(host, host->collect_all_reference, NULL);
        lua_close(host->state);
    }
    buffer_free(host, &host->interruption);
    buffer_free(host, &host->error_message);
    buffer_free(host, &host->digits);
    buffer_free(host, &host->reply);
    buffer_free(host, &host->scratch);
    free(host->arguments);
    free(host);
}

size_t lua_host_memory(const lua_host *host) { return sizeof(lua_host) + host->memory; }

void lua_host_collect(lua_host *host) { enter(host, host->collect_reference, NULL); }
