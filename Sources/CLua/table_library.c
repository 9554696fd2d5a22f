// table.*: ours where a loop in C could be long by what a script says, or would write to a read-only table.
#include "host.h"
#include <stdio.h>

static int length_of(lua_State *L, int index) { return (int)lua_objlen(L, index); }

static int table_insert(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    check_writable(L, 1);
    int end = length_of(L, 1) + 1;
    int position = end;
    int count = lua_gettop(L);
    if (count == 3) {
        position = luaL_checkint(L, 2);
        // A position past the end leaves a gap; one before 1 moves what is there, down to it.
        if (position > end) end = position;
        for (long long i = end; i > position; i--) {
            if (i % 1024 == 0) charge(L, 20 * 1024);
            lua_rawgeti(L, 1, (int)i - 1);
            lua_rawseti(L, 1, (int)i);
        }
    } else if (count != 2) {
        return luaL_error(L, "wrong number of arguments to 'insert'");
    }
    lua_settop(L, count);
    lua_rawseti(L, 1, position);
    return 0;
}

static int table_remove(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    int end = length_of(L, 1);
    int position = luaL_optint(L, 2, end);
    if (position < 1 || position > end) return 0;
    lua_rawgeti(L, 1, position);
    for (; position < end; position++) {
        lua_rawgeti(L, 1, position + 1);
        lua_rawseti(L, 1, position);
    }
    lua_pushnil(L);
    lua_rawseti(L, 1, end);
    return 1;
}

static void append_field(lua_State *L, text_buffer *out, int index) {
    size_t length;
    lua_rawgeti(L, 1, index);
    if (lua_type(L, -1) == LUA_TSTRING) {
        const char *bytes = lua_tolstring(L, -1, &length);
        buffer_append(L, out, bytes, length);
    } else if (lua_type(L, -1) == LUA_TNUMBER) {
        buffer_reserve(L, out, LUAI_MAXNUMBER2STR);
        out->count += (size_t)snprintf(out->bytes + out->count, LUAI_MAXNUMBER2STR, LUA_NUMBER_FMT, lua_tonumber(L, -1));
    } else {
        luaL_error(L, "invalid value (%s) at index %d in table for 'concat'", luaL_typename(L, -1), index);
    }
    lua_pop(L, 1);
}

static int table_concat(lua_State *L) {
    lua_host *host = host_of(L);
    text_buffer *out = &host->scratch;
    size_t length;
    const char *separator = luaL_optlstring(L, 2, "", &length);
    luaL_checktype(L, 1, LUA_TTABLE);
    see_through(L, 1);
    long long first = luaL_optint(L, 3, 1);
    long long last = lua_isnoneornil(L, 4) ? length_of(L, 1) : luaL_checkint(L, 4);
    out->count = 0;
    for (long long i = first; i <= last; i++) {
        append_field(L, out, (int)i);
        if (i < last) buffer_append(L, out, separator, length);
        if (i % 1024 == 0) charge(L, 20 * 1024);
    }
    lua_pushlstring(L, out->bytes, out->count);
    buffer_shrink(host, out);
    return 1;
}

/// Whether the value at `a` sorts before the one at `b` (both negative).
static bool is_before(lua_State *L, int a, int b) {
    if (!lua_isnil(L, 2)) {
        charge(L, 50);
        lua_pushvalue(L, 2);
        lua_pushvalue(L, a - 1);
        lua_pushvalue(L, b - 2);
        lua_call(L, 2, 1);
        bool result = lua_toboolean(L, -1);
        lua_pop(L, 1);
        return result;
    }
    size_t work = 50;
    if (lua_type(L, a) == LUA_TSTRING && lua_type(L, b) == LUA_TSTRING) {
        size_t first = lua_objlen(L, a), second = lua_objlen(L, b);
        work += first < second ? first : second;
    }
    charge(L, work);
    return lua_lessthan(L, a, b);
}

/// Sets the two values on the stack's top, and pops them: the upper one in `i`.
static void set_two(lua_State *L, int i, int j) {
    lua_rawseti(L, 1, i);
    lua_rawseti(L, 1, j);
}

/// Pushes elements `i` and `j`, and swaps them if the second sorts before the first.
static void order_two(lua_State *L, int i, int j) {
    lua_rawgeti(L, 1, i);
    lua_rawgeti(L, 1, j);
    if (is_before(L, -1, -2)) {
        set_two(L, i, j);
    } else {
        lua_pop(L, 2);
    }
}

/// Partitions around the element at `high - 1`, which is on the stack too, and popped: where it ends up.
static int partition(lua_State *L, int low, int high) {
    int i = low, j = high - 1;
    for (;;) {
        while (lua_rawgeti(L, 1, ++i), is_before(L, -1, -2)) {
            if (i > high) luaL_error(L, "invalid order function for sorting");
            lua_pop(L, 1);
        }
        while (lua_rawgeti(L, 1, --j), is_before(L, -3, -1)) {
            if (j < low) luaL_error(L, "invalid order function for sorting");
            lua_pop(L, 1);
        }
        if (j < i) break;
        set_two(L, i, j);
    }
    lua_pop(L, 3);
    lua_rawgeti(L, 1, high - 1);
    lua_rawgeti(L, 1, i);
    set_two(L, high - 1, i);
    return i;
}

/// Quicksort with the comparisons of Lua 5.1's, in their order: what is equal, or what a strange function compares, ends up
/// where it does there. It recurses into the smaller part.
static void sort(lua_State *L, int low, int high) {
    while (low < high) {
        order_two(L, low, high);
        if (high - low == 1) return;
        int middle = low + (high - low) / 2;
        lua_rawgeti(L, 1, middle);
        lua_rawgeti(L, 1, low);
        if (is_before(L, -2, -1)) {
            set_two(L, middle, low);
        } else {
            lua_pop(L, 1);
            lua_rawgeti(L, 1, high);
            if (is_before(L, -1, -2)) {
                set_two(L, middle, high);
            } else {
                lua_pop(L, 2);
            }
        }
        if (high - low == 2) return;
        lua_rawgeti(L, 1, middle);
        lua_pushvalue(L, -1);
        lua_rawgeti(L, 1, high - 1);
        set_two(L, middle, high - 1);
        int at = partition(L, low, high);
        if (at - low < high - at) {
            sort(L, low, at - 1);
            low = at + 1;
        } else {
            sort(L, at + 1, high);
            high = at - 1;
        }
    }
}

/// A read-only table is empty for `sort` and `remove`: they write nothing.
static int table_sort(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkstack(L, 40, "");
    if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    sort(L, 1, length_of(L, 1));
    return 0;
}

/// Calls Lua's own function (the upvalue), which reads a table, on the one that a proxy shows.
static int read_shown(lua_State *L) {
    see_through(L, 1);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

void open_table(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"insert", table_insert}, {"remove", table_remove}, {"concat", table_concat}, {"sort", table_sort}, {NULL, NULL},
    };
    static const char *const readers[] = {"foreach", "foreachi", "getn", "maxn", NULL};
    lua_pushcfunction(L, luaopen_table);
    lua_pushliteral(L, LUA_TABLIBNAME);
    lua_call(L, 1, 0);
    lua_getfield(L, LUA_GLOBALSINDEX, LUA_TABLIBNAME);
    luaL_register(L, NULL, functions);
    for (int i = 0; readers[i] != NULL; i++) {
        lua_getfield(L, -1, readers[i]);
        lua_pushcclosure(L, read_shown, 1);
        lua_setfield(L, -2, readers[i]);
    }
}
