// cjson and bit as Debian has them. cjson keeps its output in memory of its own, which no limit counts, with sizes that are
// ints, and leaves what it has allocated behind if Lua runs out of memory meanwhile. So it is called only when what it will
// need at most is there.
#include "host.h"
#include <limits.h>
#include <lua5.1/lua-bitop.h>
#include <lua5.1/lua-cjson.h>

enum {
    /// Output that cjson may keep the buffer of.
    largest_kept = 64 * 1024,
    /// It reserves six bytes for each of a string, and doubles what it has.
    largest_reserved = 1 << 30,
    /// cjson cannot go deeper: it takes three places of Lua's stack for each level.
    deepest = LUAI_MAXCSTACK / 3,
    bytes_of_a_number = 32,
    /// Of a key that is a number, with what stands around it and its value.
    bytes_of_a_pair = 40,
};

/// Upvalues of the functions here. The first is cjson's own, where its functions look for it: they are called as if they were
/// ours, so that their errors are of the script's line.
enum { configuration = 1, sparse_array = 2, keep_buffer = 3, buffer_is_off = 4 };

/// What encoding will need, at most.
typedef struct {
    size_t written;
    /// With what is reserved for the longest string.
    size_t reserved;
    size_t limit;
} estimate;

static void check(lua_State *L, estimate *e) {
    if (e->written > e->limit) {
        // The buffer doubles, and then there is the string too.
        e->limit = host_headroom(L, SIZE_MAX) / 3;
        if (e->written > e->limit) raise_memory(L);
    }
    if (e->reserved > largest_reserved) raise_memory(L);
}

static void add_string(lua_State *L, estimate *e, int index) {
    size_t length, written = 2;
    const unsigned char *bytes = (const unsigned char *)lua_tolstring(L, index, &length);
    if (e->written + length * 6 > e->reserved) e->reserved = e->written + length * 6;
    check(L, e);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = bytes[i];
        written += byte < 0x20 || byte == 0x7F ? 6 : byte == '"' || byte == '\\' || byte == '/' ? 2 : 1;
    }
    e->written += written;
    check(L, e);
}

/// Whether cjson refuses, or writes as an object, an array of this many elements that reaches to `largest`.
static bool is_too_sparse(lua_State *L, double count, double largest) {
    lua_pushvalue(L, lua_upvalueindex(sparse_array));
    lua_call(L, 0, 3);
    double ratio = lua_tonumber(L, -2), safe = lua_tonumber(L, -1);
    lua_pop(L, 3);
    return ratio > 0 && largest > count * ratio && largest > safe;
}

static void add_value(lua_State *L, estimate *e, int depth);

static void add_table(lua_State *L, estimate *e, int depth) {
    double count = 0, largest = 0;
    bool is_array = true;
    if (depth >= deepest || !lua_checkstack(L, 6)) return;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        double key = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
        if (key >= 1 && (double)(long long)key == key) {
            if (key > largest) largest = key;
        } else {
            is_array = false;
        }
        if (lua_type(L, -2) == LUA_TSTRING) add_string(L, e, -2);
        count++;
        e->written += bytes_of_a_pair;
        add_value(L, e, depth + 1);
        lua_pop(L, 1);
    }
    // Holes are written as null.
    if (is_array && largest > count && !is_too_sparse(L, count, largest)) {
        if (largest > largest_reserved) raise_memory(L);
        e->written += (size_t)largest * 5;
    }
    check(L, e);
}

/// Adds the value on the stack's top.
static void add_value(lua_State *L, estimate *e, int depth) {
    charge(L, 30);
    switch (lua_type(L, -1)) {
    case LUA_TSTRING: add_string(L, e, -1); break;
    case LUA_TTABLE: add_table(L, e, depth); break;
    default: e->written += bytes_of_a_number;
    }
}

static void set_keep_buffer(lua_State *L, bool keep) {
    lua_pushvalue(L, lua_upvalueindex(keep_buffer));
    lua_pushboolean(L, keep);
    lua_call(L, 1, 0);
    lua_pushboolean(L, !keep);
    lua_replace(L, lua_upvalueindex(buffer_is_off));
}

static int json_encode(lua_State *L) {
    lua_host *host = host_of(L);
    estimate e = {.limit = host_headroom(L, 0) / 3};
    // Of any other count of arguments, cjson says what is wrong.
    if (lua_gettop(L) != 1) return host->json_encode(L);
    see_through(L, 1);
    add_value(L, &e, 0);
    check(L, &e);
    lua_settop(L, 1);
    bool is_large = e.written > largest_kept || e.reserved > largest_kept;
    // It stays off after an error.
    if (is_large != (bool)lua_toboolean(L, lua_upvalueindex(buffer_is_off))) set_keep_buffer(L, !is_large);
    return host->json_encode(L);
}

/// What decoding holds at most, if the text is JSON: tables grow by doubling, with the old one beside the new.
static size_t estimate_of_decoding(const char *text, size_t length) {
    size_t needed = length * 2;
    for (size_t i = 0; i < length; i++) {
        switch (text[i]) {
        case '[': case '{': needed += 160; break;
        case ':': needed += 160; break;
        case ',': needed += 64; break;
        case '"': needed += 24; break;
        default: break;
        }
    }
    return needed;
}

static int json_decode(lua_State *L) {
    size_t length;
    if (lua_gettop(L) == 1) {
        const char *text = luaL_checklstring(L, 1, &length);
        if (length > INT_MAX / 2) raise_memory(L);
        if (host_headroom(L, 0) / 200 < length + 100) {
            size_t needed = estimate_of_decoding(text, length) + 20000;
            if (host_headroom(L, needed) < needed) raise_memory(L);
        }
    }
    return host_of(L)->json_decode(L);
}

/// What the script asks for is remembered and nothing else: whether the buffer is kept is decided here.
static int json_encode_keep_buffer(lua_State *L) {
    if (!lua_isnoneornil(L, 1)) {
        lua_pushboolean(L, lua_toboolean(L, 1));
        lua_replace(L, lua_upvalueindex(1));
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    return 1;
}

static void guard(lua_State *L);

static int json_new(lua_State *L) {
    lua_pushcfunction(L, luaopen_cjson);
    lua_call(L, 0, 1);
    guard(L);
    return 1;
}

/// Puts the functions here in the place of those of the module on the stack's top.
static void guard(lua_State *L) {
    lua_host *host = host_of(L);
    lua_getfield(L, -1, "encode");
    host->json_encode = lua_tocfunction(L, -1);
    lua_getupvalue(L, -1, configuration);
    lua_remove(L, -2);
    lua_getfield(L, -2, "encode_sparse_array");
    lua_getfield(L, -3, "encode_keep_buffer");
    lua_pushboolean(L, 0);
    lua_pushcclosure(L, json_encode, 4);
    lua_setfield(L, -2, "encode");
    lua_getfield(L, -1, "decode");
    host->json_decode = lua_tocfunction(L, -1);
    lua_getupvalue(L, -1, configuration);
    lua_remove(L, -2);
    lua_pushcclosure(L, json_decode, 1);
    lua_setfield(L, -2, "decode");
    lua_pushboolean(L, 1);
    lua_pushcclosure(L, json_encode_keep_buffer, 1);
    lua_setfield(L, -2, "encode_keep_buffer");
    lua_pushcfunction(L, json_new);
    lua_setfield(L, -2, "new");
}

void open_json(lua_State *L) { json_new(L); }

/// bit.tohex: the original writes past its buffer for -2^31 digits.
static int bit_tohex(lua_State *L) {
    if (!lua_isnoneornil(L, 2)) {
        lua_pushvalue(L, lua_upvalueindex(2));
        lua_pushvalue(L, 2);
        lua_call(L, 1, 1);
        lua_Number digits = lua_tonumber(L, -1);
        lua_settop(L, 1);
        lua_pushnumber(L, digits > 8 ? 8 : digits < -8 ? -8 : digits);
    }
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

void open_bit(lua_State *L) {
    lua_pushcfunction(L, luaopen_bit);
    lua_pushliteral(L, "bit");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "tohex");
    lua_getfield(L, -2, "tobit");
    lua_pushcclosure(L, bit_tohex, 2);
    lua_setfield(L, -2, "tohex");
}
