// The basic functions: Lua's own where they do no harm, ours where they would reach past the sandbox, run without bound, or
// catch what must not be caught.
#include "host.h"
#include <limits.h>
#include <string.h>

/// Lua's `pcall`, but that an interruption passes, and that of a table with a field `err`, which is what a command's error is
/// since Redis 7, scripts get that text, as before.
static int base_pcall(lua_State *L) {
    luaL_checkany(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    if (status != 0) {
        raise_interruption(L);
        if (lua_istable(L, -1)) {
            lua_pushliteral(L, "err");
            lua_rawget(L, -2);
            if (lua_isstring(L, -1)) {
                lua_replace(L, -2);
            } else {
                lua_pop(L, 1);
            }
        }
    }
    luaL_checkstack(L, 1, "too many results");
    lua_pushboolean(L, status == 0);
    lua_insert(L, 1);
    return lua_gettop(L);
}

/// The message handler of `xpcall`: the script's own, but not for an interruption. That is raised in a hook, and what runs
/// then is not interrupted again.
static int handle_error(lua_State *L) {
    lua_settop(L, 1);
    if (host_of(L)->is_interrupted) return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int base_xpcall(lua_State *L) {
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    lua_pushcclosure(L, handle_error, 1);
    lua_insert(L, 1);
    int status = lua_pcall(L, 0, LUA_MULTRET, 1);
    if (status != 0) raise_interruption(L);
    lua_pushboolean(L, status == 0);
    lua_replace(L, 1);
    return lua_gettop(L);
}

static int base_next(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    see_through(L, 1);
    lua_settop(L, 2);
    if (lua_next(L, 1)) return 2;
    lua_pushnil(L);
    return 1;
}

static int base_pairs(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

static int base_ipairs(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

static int step_ipairs(lua_State *L) {
    int index = luaL_checkint(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    if (index == INT_MAX) return 0;
    see_through(L, 1);
    lua_pushinteger(L, index + 1);
    lua_rawgeti(L, 1, index + 1);
    return lua_isnil(L, -1) ? 0 : 2;
}

static int base_rawget(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    see_through(L, 1);
    lua_rawget(L, 1);
    return 1;
}

static int base_rawset(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    check_writable(L, 1);
    lua_rawset(L, 1);
    return 1;
}

static int base_unpack(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    see_through(L, 1);
    long long first = luaL_optint(L, 2, 1);
    long long last = lua_isnoneornil(L, 3) ? (long long)lua_objlen(L, 1) : luaL_checkint(L, 3);
    if (first > last) return 0;
    long long count = last - first + 1;
    if (count >= INT_MAX || !lua_checkstack(L, (int)count)) return luaL_error(L, "too many results to unpack");
    for (long long i = first; i <= last; i++) lua_rawgeti(L, 1, (int)i);
    return (int)count;
}

/// Source text in pieces. Lua takes a chunk for bytecode by its first byte, and trusts bytecode: with a space before it, that
/// byte is text that is no Lua.
typedef struct {
    const char *bytes;
    size_t count;
    bool has_begun;
    /// Of `load`: the function on the stack that yields pieces.
    bool has_function;
    size_t total;
} source;

enum { largest_source = 1 << 30 };

static const char *next_piece(lua_State *L, void *context, size_t *count) {
    source *s = context;
    if (s->has_function && s->count == 0) {
        luaL_checkstack(L, 2, "too many nested functions");
        lua_pushvalue(L, 1);
        lua_call(L, 0, 1);
        if (lua_isnil(L, -1)) {
            *count = 0;
            return NULL;
        }
        if (!lua_isstring(L, -1)) luaL_error(L, "reader function must return a string");
        // It stays where the collector sees it.
        lua_replace(L, 3);
        s->bytes = lua_tolstring(L, 3, &s->count);
        s->total += s->count;
        if (s->total > largest_source) luaL_error(L, "chunk is too long");
        charge(L, 100 + s->count);
    }
    if (!s->has_begun && s->count > 0) {
        s->has_begun = true;
        if (s->bytes[0] == LUA_SIGNATURE[0]) {
            *count = 1;
            return " ";
        }
    }
    *count = s->count;
    s->count = 0;
    return *count > 0 ? s->bytes : NULL;
}

/// Compiles what `s` yields. The chunk's name is on the stack meanwhile: Lua 5.1's parser leaves its string to the collector
/// (CVE-2025-49844).
static int load_source(lua_State *L, source *s, const char *chunk_name) {
    int status = lua_load(L, next_piece, s, chunk_name);
    if (status != 0) raise_interruption(L);
    return status;
}

int load_text(lua_State *L, const char *bytes, size_t count, const char *chunk_name) {
    source s = {.bytes = bytes, .count = count};
    lua_pushstring(L, chunk_name);
    if (count > largest_source) {
        lua_pushliteral(L, "chunk is too long");
        lua_remove(L, -2);
        return LUA_ERRSYNTAX;
    }
    charge(L, count);
    int status = load_source(L, &s, chunk_name);
    lua_remove(L, -2);
    return status;
}

/// nil and a message, or the function.
static int return_loaded(lua_State *L, int status) {
    if (status == 0) return 1;
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

static int base_loadstring(lua_State *L) {
    size_t count;
    const char *bytes = luaL_checklstring(L, 1, &count);
    const char *name = luaL_optstring(L, 2, bytes);
    return return_loaded(L, load_text(L, bytes, count, name));
}

static int base_load(lua_State *L) {
    source s = {.has_function = true};
    const char *name = luaL_optstring(L, 2, "=(load)");
    luaL_checktype(L, 1, LUA_TFUNCTION);
    // 1: the function; 2: the chunk's name; 3: the piece.
    lua_settop(L, 1);
    lua_pushstring(L, name);
    lua_pushnil(L);
    return return_loaded(L, load_source(L, &s, name));
}

static int base_collectgarbage(lua_State *L) {
    static const char *const names[] = {"stop", "restart", "collect", "count", "step", "setpause", "setstepmul", NULL};
    static const int options[] = {LUA_GCSTOP, LUA_GCRESTART, LUA_GCCOLLECT, LUA_GCCOUNT, LUA_GCSTEP, LUA_GCSETPAUSE,
                                  LUA_GCSETSTEPMUL};
    int option = options[luaL_checkoption(L, 1, "collect", names)];
    int argument = luaL_optint(L, 2, 0);
    // A full collection looks at all that is held.
    if (option == LUA_GCCOLLECT || option == LUA_GCSTEP) charge(L, host_of(L)->memory / 8 + 1000);
    if (option == LUA_GCSTOP) host_of(L)->is_collector_stopped = true;
    int result = lua_gc(L, option, argument);
    switch (option) {
    case LUA_GCCOUNT: lua_pushnumber(L, result + (lua_Number)lua_gc(L, LUA_GCCOUNTB, 0) / 1024); break;
    case LUA_GCSTEP: lua_pushboolean(L, result); break;
    default: lua_pushnumber(L, result);
    }
    return 1;
}

/// Those of Lua's own that scripts get.
static const char *const kept[] = {"assert", "error", "gcinfo", "rawequal", "select", "tonumber", "tostring", "type", "_VERSION", NULL};

void open_base(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"pcall", base_pcall},
        {"xpcall", base_xpcall},
        {"next", base_next},
        {"rawget", base_rawget},
        {"rawset", base_rawset},
        {"unpack", base_unpack},
        {"load", base_load},
        {"loadstring", base_loadstring},
        {"collectgarbage", base_collectgarbage},
        {NULL, NULL},
    };
    lua_pushcfunction(L, luaopen_base);
    lua_pushliteral(L, "");
    lua_call(L, 1, 0);
    for (int i = 0; kept[i] != NULL; i++) {
        lua_getfield(L, LUA_GLOBALSINDEX, kept[i]);
        lua_setfield(L, -2, kept[i]);
    }
    luaL_register(L, NULL, functions);
    lua_getfield(L, -1, "next");
    lua_pushcclosure(L, base_pairs, 1);
    lua_setfield(L, -2, "pairs");
    lua_pushcfunction(L, step_ipairs);
    lua_pushcclosure(L, base_ipairs, 1);
    lua_setfield(L, -2, "ipairs");
}
