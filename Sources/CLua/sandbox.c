// What scripts find: globals and libraries that they can read and not change.
//
// Lua 5.1 as Debian has it knows no read-only tables. So a script sees a proxy in the place of each: an empty table whose
// metatable looks things up in the one that is shown, and refuses to set anything. What works on a table without asking its
// metatable (next, rawget, rawset, table.insert and so on) is ours here, and looks through a proxy or refuses it.
#include "host.h"

/// In a proxy's metatable.
enum { slot_mark = 1, slot_shown = 2 };

/// Its address marks a proxy's metatable; scripts have no light userdata of that value, and cannot reach such a metatable.
static char mark;

/// Pushes the table that the one at `index` is a proxy of, or nothing.
static bool push_shown(lua_State *L, int index) {
    if (!lua_getmetatable(L, index)) return false;
    lua_rawgeti(L, -1, slot_mark);
    bool is_proxy = lua_touserdata(L, -1) == &mark;
    lua_pop(L, 1);
    if (is_proxy) {
        lua_rawgeti(L, -1, slot_shown);
        lua_remove(L, -2);
    } else {
        lua_pop(L, 1);
    }
    return is_proxy;
}

void see_through(lua_State *L, int index) {
    if (lua_istable(L, index) && push_shown(L, index)) lua_replace(L, index);
}

int raise_readonly(lua_State *L) {
    lua_pushliteral(L, "Attempt to modify a readonly table");
    return lua_error(L);
}

void check_writable(lua_State *L, int index) {
    if (!lua_istable(L, index) || !push_shown(L, index)) return;
    raise_readonly(L);
}

/// __newindex of a proxy: Lua code assigns, so the message has its line.
static int refuse_assignment(lua_State *L) { return luaL_error(L, "Attempt to modify a readonly table"); }

/// __index of the globals.
static int refuse_global(lua_State *L) {
    if (!lua_isstring(L, 2)) return luaL_error(L, "Second argument to luaProtectedTableError must be a string or number");
    return luaL_error(L, "Script attempted to access nonexistent global variable '%s'", lua_tostring(L, 2));
}

void protect(lua_State *L) {
    lua_createtable(L, 0, 0);
    lua_createtable(L, 2, 2);
    lua_pushlightuserdata(L, &mark);
    lua_rawseti(L, -2, slot_mark);
    lua_pushvalue(L, -3);
    lua_rawseti(L, -2, slot_shown);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_assignment);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
}

/// Sets the library on the stack's top in the table below it, read-only.
static void set_library(lua_State *L, const char *name) {
    protect(L);
    lua_setfield(L, -2, name);
}

/// Has the table on the stack's top refuse names that it has not.
static void refuse_unknown_names(lua_State *L) {
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, refuse_global);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

static int read_metatable(lua_State *L) {
    lua_host *host = host_of(L);
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    if (lua_istable(L, 1) && push_shown(L, 1)) {
        // That of the globals alone is shown, read-only; those of libraries do not exist in Redis.
        lua_rawgeti(L, LUA_REGISTRYINDEX, host->globals_reference);
        lua_rawgeti(L, LUA_REGISTRYINDEX, host->load_globals_reference);
        if (!lua_rawequal(L, -2, -3) && !lua_rawequal(L, -1, -3)) return 0;
        lua_settop(L, 2);
        lua_getmetatable(L, -1);
        protect(L);
        return 1;
    }
    if (!lua_getmetatable(L, 1)) return 0;
    if (lua_istable(L, 1)) {
        lua_pushliteral(L, "__metatable");
        lua_rawget(L, -2);
        if (lua_isnil(L, -1)) lua_pop(L, 1);
        return 1;
    }
    // Of a basic type, which all its values share.
    lua_pushvalue(L, lua_upvalueindex(1));
    return 1;
}

static int set_metatable(lua_State *L) {
    int type = lua_type(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argcheck(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table expected");
    if (luaL_getmetafield(L, 1, "__metatable")) luaL_error(L, "cannot change a protected metatable");
    check_writable(L, 1);
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

/// The metatable of strings: looks up in the library itself, which is faster, while scripts see one that shows the proxy.
static void share_string_methods(lua_State *L) {
    lua_pushliteral(L, "");
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

/// Pushes what getmetatable("") shows, given the table of globals on the stack's top.
static void push_shown_string_metatable(lua_State *L) {
    lua_createtable(L, 0, 1);
    lua_getfield(L, -2, "string");
    lua_setfield(L, -2, "__index");
    protect(L);
}

static void set_libraries(lua_State *L) {
    open_base(L);
    open_string(L);
    share_string_methods(L);
    set_library(L, "string");
    open_table(L);
    set_library(L, "table");
    open_math(L);
    set_library(L, "math");
    open_coroutine(L);
    set_library(L, "coroutine");
    open_json(L);
    set_library(L, "cjson");
    open_bit(L);
    set_library(L, "bit");
    open_struct(L);
    set_library(L, "struct");
    open_msgpack(L);
    set_library(L, "cmsgpack");
    open_redis(L);
    set_library(L, "redis");
    lua_getfield(L, -1, "redis");
    lua_setfield(L, -2, "server");
    push_shown_string_metatable(L);
    lua_pushcclosure(L, read_metatable, 1);
    lua_setfield(L, -2, "getmetatable");
    lua_pushcfunction(L, set_metatable);
    lua_setfield(L, -2, "setmetatable");
}

/// The globals of a library's code while it is loaded: what registers, and nothing else.
static void make_load_globals(lua_State *L) {
    lua_newtable(L);
    open_redis_for_loading(L);
    refuse_unknown_names(L);
    set_library(L, "redis");
    lua_getfield(L, -1, "redis");
    lua_setfield(L, -2, "server");
    refuse_unknown_names(L);
}

void open_sandbox(lua_State *L) {
    lua_host *host = host_of(L);
    lua_newtable(L);
    set_libraries(L);
    refuse_unknown_names(L);
    lua_pushvalue(L, -1);
    host->globals_reference = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, -1);
    protect(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "_G");
    lua_getmetatable(L, -1);
    host->environment_meta_reference = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushliteral(L, "__index");
    host->index_name_reference = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_replace(L, LUA_GLOBALSINDEX);
    lua_pop(L, 1);
    if (!host->for_functions) return;
    make_load_globals(L);
    host->load_globals_reference = luaL_ref(L, LUA_REGISTRYINDEX);
}

void select_globals(lua_State *L, bool loading) {
    lua_host *host = host_of(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, host->environment_meta_reference);
    lua_rawgeti(L, LUA_REGISTRYINDEX, loading ? host->load_globals_reference : host->globals_reference);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, slot_shown);
    lua_rawgeti(L, LUA_REGISTRYINDEX, host->index_name_reference);
    lua_insert(L, -2);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}
