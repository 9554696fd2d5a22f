// math.*: Lua's own, but that random numbers follow from a seed in the same way on every machine.
#include "host.h"
#include <math.h>

/// The generator that POSIX specifies for lrand48: 48 bits of state, of which the upper 31 are a number.
static const uint64_t factor = 0x5DEECE66D, increment = 0xB, state_mask = (UINT64_C(1) << 48) - 1;
static const double numbers = 2147483648.0;

uint64_t random_start(int seed) { return ((uint64_t)(uint32_t)seed << 16) | 0x330E; }

static int math_random(lua_State *L) {
    lua_host *host = host_of(L);
    host->random_state = (host->random_state * factor + increment) & state_mask;
    double fraction = (double)(host->random_state >> 17) / numbers;
    switch (lua_gettop(L)) {
    case 0: lua_pushnumber(L, fraction); break;
    case 1: {
        int upper = luaL_checkint(L, 1);
        luaL_argcheck(L, 1 <= upper, 1, "interval is empty");
        lua_pushnumber(L, floor(fraction * upper) + 1);
        break;
    }
    case 2: {
        int lower = luaL_checkint(L, 1), upper = luaL_checkint(L, 2);
        luaL_argcheck(L, lower <= upper, 2, "interval is empty");
        lua_pushnumber(L, floor(fraction * ((double)upper - lower + 1)) + lower);
        break;
    }
    default: return luaL_error(L, "wrong number of arguments");
    }
    return 1;
}

static int math_randomseed(lua_State *L) {
    host_of(L)->random_state = random_start(luaL_checkint(L, 1));
    return 0;
}

void open_math(lua_State *L) {
    lua_pushcfunction(L, luaopen_math);
    lua_pushliteral(L, LUA_MATHLIBNAME);
    lua_call(L, 1, 0);
    lua_getfield(L, LUA_GLOBALSINDEX, LUA_MATHLIBNAME);
    lua_pushcfunction(L, math_random);
    lua_setfield(L, -2, "random");
    lua_pushcfunction(L, math_randomseed);
    lua_setfield(L, -2, "randomseed");
}
