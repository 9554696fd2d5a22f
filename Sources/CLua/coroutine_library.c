// coroutine.*: Lua's own, but that resuming lets an interruption pass, and that the host knows who runs.
#include "host.h"

static const char *state_of(lua_State *L, lua_State *coroutine) {
    lua_Debug place;
    if (coroutine == L) return "running";
    if (lua_status(coroutine) == LUA_YIELD) return "suspended";
    if (lua_status(coroutine) != 0) return "dead";
    if (lua_getstack(coroutine, 0, &place) > 0) return "normal";
    return lua_gettop(coroutine) == 0 ? "dead" : "suspended";
}

/// Resumes with the `count` values on the stack's top: the count of results there, or -1 and an error.
static int resume(lua_State *L, lua_State *coroutine, int count) {
    lua_host *host = host_of(L);
    const char *state = state_of(L, coroutine);
    if (!lua_checkstack(coroutine, count)) luaL_error(L, "too many arguments to resume");
    if (state[0] != 's') {
        lua_pushfstring(L, "cannot resume %s coroutine", state);
        return -1;
    }
    lua_xmove(L, coroutine, count);
    // So that the depth of C calls counts what lies below.
    lua_setlevel(L, coroutine);
    host->current = coroutine;
    int status = lua_resume(coroutine, count);
    host->current = L;
    raise_interruption(L);
    if (status != 0 && status != LUA_YIELD) {
        lua_xmove(coroutine, L, 1);
        return -1;
    }
    int results = lua_gettop(coroutine);
    if (!lua_checkstack(L, results + 1)) luaL_error(L, "too many results to resume");
    lua_xmove(coroutine, L, results);
    return results;
}

static int coroutine_resume(lua_State *L) {
    lua_State *coroutine = lua_tothread(L, 1);
    luaL_argcheck(L, coroutine != NULL, 1, "coroutine expected");
    int results = resume(L, coroutine, lua_gettop(L) - 1);
    lua_pushboolean(L, results >= 0);
    int count = results >= 0 ? results + 1 : 2;
    lua_insert(L, -count);
    return count;
}

static int call_wrapped(lua_State *L) {
    int results = resume(L, lua_tothread(L, lua_upvalueindex(1)), lua_gettop(L));
    if (results >= 0) return results;
    if (lua_isstring(L, -1)) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int coroutine_wrap(lua_State *L) {
    luaL_argcheck(L, lua_isfunction(L, 1) && !lua_iscfunction(L, 1), 1, "Lua function expected");
    lua_State *coroutine = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, coroutine, 1);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

/// Those of Lua were opened with the basic functions.
void open_coroutine(lua_State *L) {
    lua_getfield(L, LUA_GLOBALSINDEX, LUA_COLIBNAME);
    lua_pushcfunction(L, coroutine_resume);
    lua_setfield(L, -2, "resume");
    lua_pushcfunction(L, coroutine_wrap);
    lua_setfield(L, -2, "wrap");
}
