// From Lua to RESP: what a script returns.
#include "host.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static void append_text(lua_State *L, const char *text) { buffer_append(L, &host_of(L)->reply, text, strlen(text)); }

/// A type's byte, a number, the end of the line.
static void append_header(lua_State *L, char type, long long number) {
    text_buffer *reply = &host_of(L)->reply;
    buffer_reserve(L, reply, 32);
    reply->bytes[reply->count++] = type;
    reply->count += write_integer(number, reply->bytes + reply->count);
    reply->bytes[reply->count++] = '\r';
    reply->bytes[reply->count++] = '\n';
}

static void append_bulk(lua_State *L, const char *bytes, size_t count) {
    append_header(L, '$', (long long)count);
    buffer_append(L, &host_of(L)->reply, bytes, count);
    append_text(L, "\r\n");
}

static void append_null(lua_State *L, int resp) { append_text(L, resp == 3 ? "_\r\n" : "$-1\r\n"); }

/// A line, in which line breaks become spaces.
static void append_line(lua_State *L, char type, const char *bytes, size_t count) {
    text_buffer *reply = &host_of(L)->reply;
    buffer_reserve(L, reply, count + 3);
    reply->bytes[reply->count++] = type;
    for (size_t i = 0; i < count; i++)
        reply->bytes[reply->count++] = bytes[i] == '\r' || bytes[i] == '\n' ? ' ' : bytes[i];
    reply->bytes[reply->count++] = '\r';
    reply->bytes[reply->count++] = '\n';
}

/// In the bulk string of `count` bytes that was appended last.
static void replace_line_breaks(text_buffer *reply, size_t count) {
    char *bytes = reply->bytes + reply->count - 2 - count;
    for (size_t i = 0; i < count; i++)
        if (bytes[i] == '\r' || bytes[i] == '\n') bytes[i] = ' ';
}

static void append_double(lua_State *L, double number, int resp) {
    char digits[40];
    int length;
    if (isinf(number)) {
        length = snprintf(digits, sizeof digits, number > 0 ? "inf" : "-inf");
    } else {
        length = snprintf(digits, sizeof digits, "%.17g", number);
    }
    if (resp == 3) {
        append_line(L, ',', digits, (size_t)length);
    } else {
        append_bulk(L, digits, (size_t)length);
    }
}

/// The integer that a processor makes of a double, without what C leaves undefined.
static long long truncated(double number) {
    return number >= -9223372036854775808.0 && number < 9223372036854775808.0 ? (long long)number : INT64_MIN;
}

/// Pushes a field of the table on the stack's top, whatever its metatable says: its type.
static int push_raw_field(lua_State *L, const char *name) {
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    return lua_type(L, -1);
}

static bool append_verbatim(lua_State *L, int resp) {
    size_t length;
    if (push_raw_field(L, "format") != LUA_TSTRING) {
        lua_pop(L, 1);
        return false;
    }
    const char *format = lua_tostring(L, -1);
    lua_pushliteral(L, "string");
    lua_rawget(L, -3);
    if (lua_type(L, -1) != LUA_TSTRING) {
        lua_pop(L, 2);
        return false;
    }
    const char *bytes = lua_tolstring(L, -1, &length);
    if (resp == 3) {
        text_buffer *reply = &host_of(L)->reply;
        size_t given = strlen(format);
        append_header(L, '=', (long long)length + 4);
        // Three bytes, whatever the script gave.
        for (size_t i = 0; i < 3; i++) buffer_append(L, reply, i < given ? format + i : " ", 1);
        buffer_append(L, reply, ":", 1);
        buffer_append(L, reply, bytes, length);
        append_text(L, "\r\n");
    } else {
        append_bulk(L, bytes, length);
    }
    lua_pop(L, 2);
    return true;
}

static long long count_pairs(lua_State *L) {
    long long count = 0;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        count++;
        lua_pop(L, 1);
    }
    charge(L, (size_t)count * 10);
    return count;
}

static void append_map(lua_State *L, int resp) {
    long long count = count_pairs(L);
    append_header(L, resp == 3 ? '%' : '*', resp == 3 ? count : count * 2);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pushvalue(L, -2);
        append_result(L, resp);
        append_result(L, resp);
    }
}

static void append_set(lua_State *L, int resp) {
    append_header(L, resp == 3 ? '~' : '*', count_pairs(L));
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        append_result(L, resp);
    }
}

/// The elements from 1 to the first nil.
static void append_array(lua_State *L, int resp) {
    int count = 0;
    for (;; count++) {
        lua_rawgeti(L, -1, count + 1);
        bool ends = lua_isnil(L, -1);
        lua_pop(L, 1);
        if (ends) break;
    }
    append_header(L, '*', count);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        append_result(L, resp);
    }
}

/// An error, whose text is on the stack's top, above its table.
static void append_error(lua_State *L) {
    lua_host *host = host_of(L);
    size_t length;
    const char *bytes = lua_tolstring(L, -1, &length);
    while (length > 0 && (bytes[length - 1] == '\r' || bytes[length - 1] == '\n')) length--;
    append_line(L, '-', bytes, length);
    if (host->callbacks.wrote_error == NULL) return;
    lua_pushliteral(L, "ignore_error_stats_update");
    lua_rawget(L, -3);
    bool counted = lua_toboolean(L, -1);
    lua_pop(L, 1);
    const char *line = host->reply.bytes + host->reply.count - 2 - length;
    host->callbacks.wrote_error(host->callbacks.context, (lua_host_bytes){line, length}, counted);
}

/// A table with one of the fields that stand for what Lua has no type for. False: an array. The stack is as before.
static bool append_special(lua_State *L, int resp) {
    size_t length;
    bool done = true;
    if (push_raw_field(L, "err") == LUA_TSTRING) {
        append_error(L);
    } else if (lua_pop(L, 1), push_raw_field(L, "ok") == LUA_TSTRING) {
        const char *bytes = lua_tolstring(L, -1, &length);
        append_line(L, '+', bytes, strlen(bytes));
    } else if (lua_pop(L, 1), push_raw_field(L, "double") == LUA_TNUMBER) {
        append_double(L, lua_tonumber(L, -1), resp);
    } else if (lua_pop(L, 1), push_raw_field(L, "big_number") == LUA_TSTRING) {
        const char *bytes = lua_tolstring(L, -1, &length);
        if (resp == 3) {
            append_line(L, '(', bytes, length);
        } else {
            append_bulk(L, bytes, length);
            replace_line_breaks(&host_of(L)->reply, length);
        }
    } else if (lua_pop(L, 1), push_raw_field(L, "verbatim_string") == LUA_TTABLE && append_verbatim(L, resp)) {
    } else if (lua_pop(L, 1), push_raw_field(L, "map") == LUA_TTABLE) {
        append_map(L, resp);
    } else if (lua_pop(L, 1), push_raw_field(L, "set") == LUA_TTABLE) {
        append_set(L, resp);
    } else {
        done = false;
    }
    lua_pop(L, 1);
    return done;
}

void append_result(lua_State *L, int resp) {
    size_t length;
    charge(L, 50);
    // As in Redis, what is nested too deeply is an error in its place.
    if (!lua_checkstack(L, 4)) {
        append_text(L, "-ERR reached lua stack limit\r\n");
        lua_pop(L, 1);
        return;
    }
    switch (lua_type(L, -1)) {
    case LUA_TSTRING: {
        const char *bytes = lua_tolstring(L, -1, &length);
        append_bulk(L, bytes, length);
        break;
    }
    case LUA_TBOOLEAN:
        if (host_of(L)->resp == 3) {
            append_text(L, resp == 3 ? (lua_toboolean(L, -1) ? "#t\r\n" : "#f\r\n") : (lua_toboolean(L, -1) ? ":1\r\n" : ":0\r\n"));
        } else if (lua_toboolean(L, -1)) {
            append_text(L, ":1\r\n");
        } else {
            append_null(L, resp);
        }
        break;
    case LUA_TNUMBER: append_header(L, ':', truncated(lua_tonumber(L, -1))); break;
    case LUA_TTABLE:
        if (!append_special(L, resp)) append_array(L, resp);
        break;
    default: append_null(L, resp);
    }
    lua_pop(L, 1);
}
