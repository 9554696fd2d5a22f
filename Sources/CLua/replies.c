// From RESP to Lua: what redis.call returns.
#include "host.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/// A reply that is being read. Whoever wrote it is trusted to mean well, not to be right.
typedef struct {
    const char *next;
    const char *end;
} reader;

enum {
    /// No command's reply is nested so deeply; below what Lua's stack has room for.
    deepest = 1000
};

static int raise_malformed(lua_State *L) { return raise_error(L, "the reply of a command is malformed"); }

/// The rest of the line, of `*length` bytes; what follows its end comes next.
static const char *read_line(lua_State *L, reader *r, size_t *length) {
    const char *start = r->next;
    const char *end = memchr(start, '\r', (size_t)(r->end - start));
    if (end == NULL || end + 1 >= r->end) raise_malformed(L);
    *length = (size_t)(end - start);
    r->next = end + 2;
    return start;
}

static long long read_integer(lua_State *L, reader *r) {
    size_t length;
    const char *digits = read_line(L, r, &length);
    bool negative = length > 0 && digits[0] == '-';
    unsigned long long value = 0;
    if (length == negative || length > 20) raise_malformed(L);
    for (size_t i = negative; i < length; i++) {
        if (digits[i] < '0' || digits[i] > '9') raise_malformed(L);
        value = value * 10 + (unsigned long long)(digits[i] - '0');
    }
    return (long long)(negative ? 0 - value : value);
}

/// The bytes of a blob of `length`; what follows its end comes next.
static const char *read_blob(lua_State *L, reader *r, long long length) {
    const char *start = r->next;
    if (length < 0 || length > r->end - start - 2) raise_malformed(L);
    r->next = start + length + 2;
    return start;
}

static double read_double(lua_State *L, reader *r) {
    char digits[64];
    size_t length;
    const char *line = read_line(L, r, &length);
    if (length >= sizeof digits) raise_malformed(L);
    memcpy(digits, line, length);
    digits[length] = 0;
    return strtod(digits, NULL);
}

static void push_value(lua_State *L, reader *r, int depth);

static void push_array(lua_State *L, reader *r, long long count, int depth) {
    // An element takes three bytes at least, so that a length that lies cannot ask for much.
    if (count > (r->end - r->next) / 3 || count >= INT32_MAX) raise_malformed(L);
    // Nulls of RESP3 are nil, and what Lua says of the length then depends on how the table has grown: as in Redis.
    lua_createtable(L, host_of(L)->resp == 3 ? 0 : (int)count, 0);
    for (int i = 1; i <= (int)count; i++) {
        push_value(L, r, depth + 1);
        lua_rawseti(L, -2, i);
    }
}

/// {map = {key = value}}, {set = {member = true}}. A null or a NaN cannot be a key, in Redis neither.
static void push_keyed(lua_State *L, reader *r, bool is_map, int depth) {
    long long count = read_integer(L, r);
    lua_createtable(L, 0, 1);
    lua_pushstring(L, is_map ? "map" : "set");
    lua_newtable(L);
    for (long long i = 0; i < count; i++) {
        push_value(L, r, depth + 1);
        if (is_map) {
            push_value(L, r, depth + 1);
        } else {
            lua_pushboolean(L, 1);
        }
        if (lua_isnil(L, -2) || (lua_isnumber(L, -2) && isnan(lua_tonumber(L, -2)))) {
            lua_pop(L, 2);
        } else {
            lua_rawset(L, -3);
        }
    }
    lua_rawset(L, -3);
}

static void push_field(lua_State *L, const char *name, const char *bytes, size_t length) {
    lua_pushstring(L, name);
    lua_pushlstring(L, bytes, length);
    lua_rawset(L, -3);
}

/// {verbatim_string = {format, string}}.
static void push_verbatim(lua_State *L, reader *r) {
    long long length = read_integer(L, r);
    if (length < 4) raise_malformed(L);
    const char *bytes = read_blob(L, r, length);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "verbatim_string");
    lua_createtable(L, 0, 2);
    push_field(L, "string", bytes + 4, (size_t)length - 4);
    push_field(L, "format", bytes, 3);
    lua_rawset(L, -3);
}

/// Attributes are read and not shown, as in Redis.
static void skip_attributes(lua_State *L, reader *r, int depth) {
    long long count = read_integer(L, r);
    for (long long i = 0; i < count; i++) {
        push_value(L, r, depth + 1);
        push_value(L, r, depth + 1);
        lua_pop(L, 2);
    }
}

static void push_line_in_table(lua_State *L, reader *r, const char *name) {
    size_t length;
    const char *line = read_line(L, r, &length);
    lua_createtable(L, 0, 1);
    push_field(L, name, line, length);
}

static void push_value(lua_State *L, reader *r, int depth) {
    size_t length;
    long long count;
    if (depth > deepest) raise_error(L, "too many nested replies");
    luaL_checkstack(L, 8, "too many nested replies");
    if (r->next >= r->end) raise_malformed(L);
    switch (*r->next++) {
    case '$':
        count = read_integer(L, r);
        if (count < 0) {
            lua_pushboolean(L, 0);
        } else {
            const char *bytes = read_blob(L, r, count);
            lua_pushlstring(L, bytes, (size_t)count);
        }
        break;
    case ':': lua_pushnumber(L, (lua_Number)read_integer(L, r)); break;
    case '+': push_line_in_table(L, r, "ok"); break;
    case '-': {
        const char *line = read_line(L, r, &length) - 1;
        push_error(L, line, length + 1, true);
        break;
    }
    case '*':
        count = read_integer(L, r);
        if (count < 0) {
            lua_pushboolean(L, 0);
        } else {
            push_array(L, r, count, depth);
        }
        break;
    case '%': push_keyed(L, r, true, depth); break;
    case '~': push_keyed(L, r, false, depth); break;
    case '_':
        read_line(L, r, &length);
        lua_pushnil(L);
        break;
    case '#': {
        const char *line = read_line(L, r, &length);
        lua_pushboolean(L, length == 1 && line[0] == 't');
        break;
    }
    case ',': {
        double number = read_double(L, r);
        lua_createtable(L, 0, 1);
        lua_pushliteral(L, "double");
        lua_pushnumber(L, number);
        lua_rawset(L, -3);
        break;
    }
    case '(': push_line_in_table(L, r, "big_number"); break;
    case '=': push_verbatim(L, r); break;
    case '|':
        skip_attributes(L, r, depth);
        push_value(L, r, depth);
        break;
    default: raise_malformed(L);
    }
}

void push_reply(lua_State *L, lua_host_bytes reply) {
    reader r = {reply.bytes, reply.bytes + reply.count};
    push_value(L, &r, 0);
}
