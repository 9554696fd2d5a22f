#include "host.h"
#include <lua5.1/lua-cjson.h>
#include <lua5.1/lua-bitop.h>
static void lib(lua_State *L, lua_CFunction f, const char *name) {
    lua_pushcfunction(L, f); lua_pushstring(L, name); lua_call(L, 1, 0);
    lua_getfield(L, LUA_GLOBALSINDEX, name);
}
void open_string(lua_State *L) { lib(L, luaopen_string, "string"); }
void open_table(lua_State *L) { lib(L, luaopen_table, "table"); }
void open_math(lua_State *L) { lib(L, luaopen_math, "math"); }
void open_coroutine(lua_State *L) { lua_getfield(L, LUA_GLOBALSINDEX, "coroutine"); }
void open_json(lua_State *L) { lib(L, luaopen_cjson, "cjson"); }
void open_bit(lua_State *L) { lib(L, luaopen_bit, "bit"); }
void open_struct(lua_State *L) { lua_newtable(L); }
void open_msgpack(lua_State *L) { lua_newtable(L); }
