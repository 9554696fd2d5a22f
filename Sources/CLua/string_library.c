// string.*: Lua's own, but for what searches (patterns.c), and for what makes strings of any size from little.
#include "patterns.h"
#include <ctype.h>
#include <string.h>

static match_state begin_match(lua_State *L, const char *text, size_t length) {
    return (match_state){.L = L, .text = text, .end = text + length};
}

/// An offset from what a script gives: from the end if negative, within the text.
static size_t start_offset(lua_State *L, int argument, size_t length) {
    lua_Integer position = luaL_optinteger(L, argument, 1);
    if (position < 0) position += (lua_Integer)length + 1;
    if (position < 1) return 0;
    return (size_t)position - 1 > length ? length : (size_t)position - 1;
}

/// Without a pattern's special characters, or if `plain` is set, memmem searches, in linear time.
static bool is_plain(lua_State *L, const char *pattern) {
    return lua_toboolean(L, 4) || strpbrk(pattern, "^$*+?.([%-") == NULL;
}

static int search(lua_State *L, bool find) {
    size_t length, pattern_length;
    const char *text = luaL_checklstring(L, 1, &length);
    const char *pattern = luaL_checklstring(L, 2, &pattern_length);
    const char *at = text + start_offset(L, 3, length);
    if (find && is_plain(L, pattern)) {
        charge(L, length + pattern_length);
        const char *found = memmem(at, (size_t)(text + length - at), pattern, pattern_length);
        if (found != NULL) {
            lua_pushinteger(L, found - text + 1);
            lua_pushinteger(L, found - text + (lua_Integer)pattern_length);
            return 2;
        }
        lua_pushnil(L);
        return 1;
    }
    match_state m = begin_match(L, text, length);
    bool anchored = *pattern == '^';
    if (anchored) pattern++;
    do {
        const char *end = match_pattern(&m, at, pattern);
        if (end == NULL) continue;
        if (!find) return push_captures(&m, at, end);
        lua_pushinteger(L, at - text + 1);
        lua_pushinteger(L, end - text);
        return push_captures(&m, NULL, NULL) + 2;
    } while (at++ < m.end && !anchored);
    lua_pushnil(L);
    return 1;
}

static int string_find(lua_State *L) { return search(L, true); }
static int string_match(lua_State *L) { return search(L, false); }

/// Upvalues: the text, the pattern, the offset to go on from.
static int step_gmatch(lua_State *L) {
    size_t length;
    const char *text = lua_tolstring(L, lua_upvalueindex(1), &length);
    const char *pattern = lua_tostring(L, lua_upvalueindex(2));
    match_state m = begin_match(L, text, length);
    for (const char *at = text + lua_tointeger(L, lua_upvalueindex(3)); at <= m.end; at++) {
        const char *end = match_pattern(&m, at, pattern);
        if (end == NULL) continue;
        lua_pushinteger(L, end - text + (end == at));
        lua_replace(L, lua_upvalueindex(3));
        return push_captures(&m, at, end);
    }
    return 0;
}

static int string_gmatch(lua_State *L) {
    luaL_checkstring(L, 1);
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, step_gmatch, 3);
    return 1;
}

/// Adds a replacement that is a string, in which %0 to %9 stand for captures.
static void add_text(match_state *m, luaL_Buffer *out, const char *start, const char *end) {
    size_t length;
    const char *text = lua_tolstring(m->L, 3, &length);
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '%') {
            luaL_addchar(out, text[i]);
            continue;
        }
        i++;
        if (!isdigit((unsigned char)text[i])) {
            luaL_addchar(out, text[i]);
        } else if (text[i] == '0') {
            luaL_addlstring(out, start, (size_t)(end - start));
        } else {
            push_capture(m, text[i] - '1', start, end);
            luaL_addvalue(out);
        }
    }
}

static void add_replacement(match_state *m, luaL_Buffer *out, const char *start, const char *end) {
    lua_State *L = m->L;
    switch (lua_type(L, 3)) {
    case LUA_TFUNCTION:
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(m, start, end), 1);
        break;
    case LUA_TTABLE:
        push_capture(m, 0, start, end);
        lua_gettable(L, 3);
        break;
    default:
        add_text(m, out, start, end);
        return;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        lua_pushlstring(L, start, (size_t)(end - start));
    } else if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
    luaL_addvalue(out);
}

static int string_gsub(lua_State *L) {
    size_t length;
    const char *at = luaL_checklstring(L, 1, &length);
    const char *pattern = luaL_checkstring(L, 2);
    int type = lua_type(L, 3);
    lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)length + 1);
    bool anchored = *pattern == '^';
    lua_Integer count = 0;
    luaL_Buffer out;
    luaL_argcheck(
        L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE, 3,
        "string/function/table expected");
    if (anchored) pattern++;
    match_state m = begin_match(L, at, length);
    luaL_buffinit(L, &out);
    while (count < most) {
        const char *end = match_pattern(&m, at, pattern);
        if (end != NULL) {
            count++;
            add_replacement(&m, &out, at, end);
        }
        if (end != NULL && end > at) {
            at = end;
        } else if (at < m.end) {
            luaL_addchar(&out, *at++);
        } else {
            break;
        }
        if (anchored) break;
    }
    luaL_addlstring(&out, at, (size_t)(m.end - at));
    luaL_pushresult(&out);
    lua_pushinteger(L, count);
    return 2;
}

static int string_rep(lua_State *L) {
    lua_host *host = host_of(L);
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    int count = luaL_checkint(L, 2);
    if (count <= 0 || length == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if (length > host->memory_limit / (size_t)count) return raise_memory(L);
    size_t total = length * (size_t)count;
    host->scratch.count = 0;
    buffer_reserve(L, &host->scratch, total);
    char *bytes = host->scratch.bytes;
    memcpy(bytes, text, length);
    // Each step doubles what there is.
    for (size_t filled = length; filled < total;) {
        size_t more = filled < total - filled ? filled : total - filled;
        memcpy(bytes + filled, bytes, more);
        filled += more;
    }
    lua_pushlstring(L, bytes, total);
    buffer_shrink(host, &host->scratch);
    return 1;
}

void open_string(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"find", string_find}, {"match", string_match}, {"gmatch", string_gmatch}, {"gfind", string_gmatch},
        {"gsub", string_gsub}, {"rep", string_rep},     {NULL, NULL},
    };
    lua_pushcfunction(L, luaopen_string);
    lua_pushliteral(L, LUA_STRLIBNAME);
    lua_call(L, 1, 0);
    lua_getfield(L, LUA_GLOBALSINDEX, LUA_STRLIBNAME);
    luaL_register(L, NULL, functions);
}
