// cmsgpack.pack, unpack, unpack_one and unpack_limit: MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md),
// without its types bin and ext, as in Redis's library. Numbers take the smallest form that keeps them; a table is an array
// if its keys are 1 to n, else a map.
#include "host.h"
#include <limits.h>
#include <math.h>
#include <string.h>

enum {
    /// Tables below this are packed as nil, so that one that holds itself comes to an end.
    deepest_packed = 16,
    work_of_a_value = 30,
};

/// Appends a type's byte and the low `size` bytes of a number, the highest first.
static void append_number(lua_State *L, unsigned char type, uint64_t number, int size) {
    char bytes[9] = {(char)type};
    for (int i = 0; i < size; i++) bytes[1 + i] = (char)(number >> (8 * (size - 1 - i)));
    buffer_append(L, &host_of(L)->scratch, bytes, (size_t)size + 1);
}

/// Appends a length: in the type's byte below `fixed_end`, or behind one of `types`, those of 8, 16 and 32 bits (0: there is none).
static void append_length(lua_State *L, unsigned char fixed, size_t fixed_end, const unsigned char types[3], size_t length) {
    if (length < fixed_end) {
        append_number(L, (unsigned char)(fixed | length), 0, 0);
    } else if (length <= 0xFF && types[0] != 0) {
        append_number(L, types[0], length, 1);
    } else if (length <= 0xFFFF) {
        append_number(L, types[1], length, 2);
    } else if (length <= 0xFFFFFFFF) {
        append_number(L, types[2], length, 4);
    } else {
        luaL_error(L, "a value is too long for MessagePack");
    }
}

static void append_integer(lua_State *L, int64_t number) {
    if (number >= -32 && number <= 127) {
        append_number(L, (unsigned char)number, 0, 0);
    } else if (number >= 0) {
        if (number <= 0xFF) {
            append_number(L, 0xCC, (uint64_t)number, 1);
        } else if (number <= 0xFFFF) {
            append_number(L, 0xCD, (uint64_t)number, 2);
        } else if (number <= 0xFFFFFFFF) {
            append_number(L, 0xCE, (uint64_t)number, 4);
        } else {
            append_number(L, 0xCF, (uint64_t)number, 8);
        }
    } else if (number >= INT8_MIN) {
        append_number(L, 0xD0, (uint64_t)number, 1);
    } else if (number >= INT16_MIN) {
        append_number(L, 0xD1, (uint64_t)number, 2);
    } else if (number >= INT32_MIN) {
        append_number(L, 0xD2, (uint64_t)number, 4);
    } else {
        append_number(L, 0xD3, (uint64_t)number, 8);
    }
}

static void append_lua_number(lua_State *L, double number) {
    if (number >= -9223372036854775808.0 && number < 9223372036854775808.0 && (double)(int64_t)number == number) {
        append_integer(L, (int64_t)number);
        return;
    }
    // A finite number beyond a float's range is no float.
    if (isinf(number) || (fabs(number) <= 3.4028234663852886e38 && (double)(float)number == number)) {
        float single = (float)number;
        uint32_t bits;
        memcpy(&bits, &single, sizeof bits);
        append_number(L, 0xCA, bits, 4);
        return;
    }
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    append_number(L, 0xCB, bits, 8);
}

/// The pairs of the table on the stack's top; `*is_array`: their keys are 1 to that count.
static size_t count_pairs(lua_State *L, bool *is_array) {
    size_t count = 0;
    double largest = 0;
    *is_array = true;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        count++;
        if (!*is_array) continue;
        double key = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
        if (key < 1 || key > INT_MAX || (double)(int)key != key) {
            *is_array = false;
        } else if (key > largest) {
            largest = key;
        }
    }
    if ((double)count != largest) *is_array = false;
    charge(L, count * work_of_a_value);
    return count;
}

static void append_value(lua_State *L, int depth);

static void append_table(lua_State *L, int depth) {
    static const unsigned char array_types[] = {0, 0xDC, 0xDD}, map_types[] = {0, 0xDE, 0xDF};
    bool is_array;
    luaL_checkstack(L, 4, "too many nested tables");
    size_t count = count_pairs(L, &is_array);
    if (is_array) {
        append_length(L, 0x90, 16, array_types, count);
        for (int i = 1; i <= (int)count; i++) {
            lua_rawgeti(L, -1, i);
            append_value(L, depth + 1);
        }
        return;
    }
    append_length(L, 0x80, 16, map_types, count);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pushvalue(L, -2);
        append_value(L, depth + 1);
        append_value(L, depth + 1);
    }
}

/// Appends the value on the stack's top, and pops it.
static void append_value(lua_State *L, int depth) {
    static const unsigned char string_types[] = {0xD9, 0xDA, 0xDB};
    text_buffer *out = &host_of(L)->scratch;
    int type = lua_type(L, -1);
    charge(L, work_of_a_value);
    if (type == LUA_TTABLE && depth == deepest_packed) type = LUA_TNIL;
    switch (type) {
    case LUA_TSTRING: {
        size_t length;
        const char *bytes = lua_tolstring(L, -1, &length);
        append_length(L, 0xA0, 32, string_types, length);
        buffer_append(L, out, bytes, length);
        break;
    }
    case LUA_TBOOLEAN: append_number(L, lua_toboolean(L, -1) ? 0xC3 : 0xC2, 0, 0); break;
    case LUA_TNUMBER: append_lua_number(L, lua_tonumber(L, -1)); break;
    case LUA_TTABLE: append_table(L, depth); break;
    default: append_number(L, 0xC0, 0, 0);
    }
    lua_pop(L, 1);
}

static int msgpack_pack(lua_State *L) {
    text_buffer *out = &host_of(L)->scratch;
    int count = lua_gettop(L);
    if (count == 0) return luaL_argerror(L, 0, "MessagePack pack needs input.");
    luaL_checkstack(L, 4, "Too many arguments for MessagePack pack.");
    out->count = 0;
    for (int i = 1; i <= count; i++) {
        lua_pushvalue(L, i);
        append_value(L, 0);
    }
    lua_pushlstring(L, out->bytes, out->count);
    buffer_shrink(host_of(L), out);
    return 1;
}

/// What is left of the input.
typedef struct {
    const unsigned char *next;
    size_t left;
} input;

/// The next `count` bytes.
static const unsigned char *take(lua_State *L, input *in, size_t count) {
    if (in->left < count) luaL_error(L, "Missing bytes in input.");
    const unsigned char *bytes = in->next;
    in->next += count;
    in->left -= count;
    return bytes;
}

static uint64_t take_number(lua_State *L, input *in, int size) {
    const unsigned char *bytes = take(L, in, (size_t)size);
    uint64_t number = 0;
    for (int i = 0; i < size; i++) number = (number << 8) | bytes[i];
    return number;
}

static void push_value(lua_State *L, input *in);

static void push_string(lua_State *L, input *in, size_t length) {
    const unsigned char *bytes = take(L, in, length);
    lua_pushlstring(L, (const char *)bytes, length);
}

/// Reserves nothing for a length, which may lie.
static void push_array(lua_State *L, input *in, size_t count) {
    lua_newtable(L);
    for (size_t i = 1; i <= count; i++) {
        push_value(L, in);
        if (i > INT_MAX) luaL_error(L, "Bad data format in input.");
        lua_rawseti(L, -2, (int)i);
    }
}

static void push_map(lua_State *L, input *in, size_t count) {
    lua_newtable(L);
    for (; count > 0; count--) {
        push_value(L, in);
        push_value(L, in);
        lua_rawset(L, -3);
    }
}

static void push_float(lua_State *L, input *in, int size) {
    uint64_t bits = take_number(L, in, size);
    if (size == 4) {
        float single;
        uint32_t half = (uint32_t)bits;
        memcpy(&single, &half, sizeof single);
        lua_pushnumber(L, single);
    } else {
        double number;
        memcpy(&number, &bits, sizeof number);
        lua_pushnumber(L, number);
    }
}

static void push_value(lua_State *L, input *in) {
    luaL_checkstack(L, 3, "too many return values at once; use unpack_one or unpack_limit instead.");
    charge(L, work_of_a_value);
    unsigned char type = *take(L, in, 1);
    if (type < 0x80 || type >= 0xE0) {
        lua_pushnumber(L, (signed char)type);
    } else if (type < 0x90) {
        push_map(L, in, type & 0xF);
    } else if (type < 0xA0) {
        push_array(L, in, type & 0xF);
    } else if (type < 0xC0) {
        push_string(L, in, type & 0x1F);
    } else {
        switch (type) {
        case 0xC0: lua_pushnil(L); break;
        case 0xC2: lua_pushboolean(L, 0); break;
        case 0xC3: lua_pushboolean(L, 1); break;
        case 0xCA: push_float(L, in, 4); break;
        case 0xCB: push_float(L, in, 8); break;
        case 0xCC: lua_pushnumber(L, (lua_Number)take_number(L, in, 1)); break;
        case 0xCD: lua_pushnumber(L, (lua_Number)take_number(L, in, 2)); break;
        case 0xCE: lua_pushnumber(L, (lua_Number)take_number(L, in, 4)); break;
        case 0xD0: lua_pushnumber(L, (int8_t)take_number(L, in, 1)); break;
        case 0xD1: lua_pushnumber(L, (int16_t)take_number(L, in, 2)); break;
        case 0xD2: lua_pushnumber(L, (int32_t)take_number(L, in, 4)); break;
        // An unsigned number beyond 2^63 is negative, as in Redis's library.
        case 0xCF:
        case 0xD3: lua_pushnumber(L, (lua_Number)(int64_t)take_number(L, in, 8)); break;
        case 0xD9: push_string(L, in, (size_t)take_number(L, in, 1)); break;
        case 0xDA: push_string(L, in, (size_t)take_number(L, in, 2)); break;
        case 0xDB: push_string(L, in, (size_t)take_number(L, in, 4)); break;
        case 0xDC: push_array(L, in, (size_t)take_number(L, in, 2)); break;
        case 0xDD: push_array(L, in, (size_t)take_number(L, in, 4)); break;
        case 0xDE: push_map(L, in, (size_t)take_number(L, in, 2)); break;
        case 0xDF: push_map(L, in, (size_t)take_number(L, in, 4)); break;
        default: luaL_error(L, "Bad data format in input.");
        }
    }
}

/// Unpacks up to `limit` values from `offset` on; with both 0 all, else where to go on (or -1) is the first result.
static int unpack(lua_State *L, lua_Integer limit, lua_Integer offset) {
    size_t length;
    int count = 0;
    bool all = limit == 0 && offset == 0;
    const char *bytes = luaL_checklstring(L, 1, &length);
    if (offset < 0 || limit < 0)
        return luaL_error(L, "Invalid request to unpack with offset of %d and limit of %d.", (int)offset, (int)length);
    if ((size_t)offset > length)
        return luaL_error(L, "Start offset %d greater than input length %d.", (int)offset, (int)length);
    lua_settop(L, 1);
    input in = {(const unsigned char *)bytes + offset, length - (size_t)offset};
    for (; in.left > 0 && (all || count < limit); count++) push_value(L, &in);
    if (all) return count;
    luaL_checkstack(L, 1, "too many return values at once");
    lua_pushnumber(L, in.left == 0 ? -1 : (lua_Number)(length - in.left));
    lua_insert(L, 2);
    return count + 1;
}

static int msgpack_unpack(lua_State *L) { return unpack(L, 0, 0); }
static int msgpack_unpack_one(lua_State *L) { return unpack(L, 1, luaL_optinteger(L, 2, 0)); }
static int msgpack_unpack_limit(lua_State *L) { return unpack(L, luaL_checkinteger(L, 2), luaL_optinteger(L, 3, 0)); }

void open_msgpack(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"pack", msgpack_pack},
        {"unpack", msgpack_unpack},
        {"unpack_one", msgpack_unpack_one},
        {"unpack_limit", msgpack_unpack_limit},
        {NULL, NULL},
    };
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    // What scripts may look at to know what they have.
    lua_pushliteral(L, "cmsgpack");
    lua_setfield(L, -2, "_NAME");
    lua_pushliteral(L, "lua-cmsgpack 0.4.0");
    lua_setfield(L, -2, "_VERSION");
    lua_pushliteral(L, "MessagePack for Lua");
    lua_setfield(L, -2, "_DESCRIPTION");
}
