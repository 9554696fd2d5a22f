// struct.pack, struct.unpack and struct.size, by the formats of Roberto Ierusalimschy's library as Redis documents it:
//
//   >  <  big, little endian (the machine's at first)     ![n]   align to n bytes at most, a power of two (8)
//   b B   signed, unsigned byte                           h H    short, of two bytes
//   l L   long, of eight bytes                            T      size_t
//   i[n] I[n]  integer of n bytes, up to 32 (4)           f d    float, double
//   s     string that ends with a zero                    c[n]   n bytes (1); c0: all of a string, or as many as the number before
//   x     a byte of padding                               space  nothing
//
// Every size is checked before it is added to anything.
#include "host.h"
#include <ctype.h>
#include <limits.h>
#include <string.h>

enum { largest_integer = 32, default_alignment = 8 };

typedef struct {
    const char *next;
    bool is_big_endian;
    size_t alignment;
} format;

static format begin_format(const char *text) {
    return (format){text, __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__, 1};
}

/// The number at this place of the format, or `otherwise`.
static int read_number(lua_State *L, format *f, int otherwise) {
    if (!isdigit((unsigned char)*f->next)) return otherwise;
    int number = 0;
    for (; isdigit((unsigned char)*f->next); f->next++) {
        int digit = *f->next - '0';
        if (number > (INT_MAX - digit) / 10) luaL_error(L, "integral size overflow");
        number = number * 10 + digit;
    }
    return number;
}

/// The bytes of an option's value; 0 where it depends on the value, and for those that have none.
static size_t read_size(lua_State *L, format *f, char option) {
    switch (option) {
    case 'b': case 'B': case 'x': return 1;
    case 'h': case 'H': return 2;
    case 'l': case 'L': case 'T': case 'd': return 8;
    case 'f': return 4;
    case 'c': return (size_t)read_number(L, f, 1);
    case 'i': case 'I': {
        int size = read_number(L, f, 4);
        if (size > largest_integer)
            luaL_error(L, "integral size %d is larger than limit of %d", size, largest_integer);
        return (size_t)size;
    }
    default: return 0;
    }
}

/// The padding before a value of `size` bytes at `position`. A size that is no power of two is padded as by the original.
static size_t padding(const format *f, char option, size_t size, size_t position) {
    if (size == 0 || option == 'c') return 0;
    if (size > f->alignment) size = f->alignment;
    return (size - (position & (size - 1))) & (size - 1);
}

static void set_option(lua_State *L, format *f, char option) {
    switch (option) {
    case ' ': return;
    case '>': f->is_big_endian = true; return;
    case '<': f->is_big_endian = false; return;
    case '!': {
        int alignment = read_number(L, f, default_alignment);
        if (alignment <= 0 || (alignment & (alignment - 1)) != 0)
            luaL_error(L, "alignment %d is not a power of 2", alignment);
        f->alignment = (size_t)alignment;
        return;
    }
    default: luaL_argerror(L, 1, lua_pushfstring(L, "invalid format option '%c'", option));
    }
}

/// The bits that a processor makes of a number, without what C leaves undefined.
static uint64_t bits_of(double number) {
    if (number < 0) return number >= -9223372036854775808.0 ? (uint64_t)(int64_t)number : UINT64_C(1) << 63;
    if (number < 18446744073709551616.0) return (uint64_t)number;
    return number != number ? UINT64_C(1) << 63 : 0;
}

/// Appends the low `size` bytes of a value; beyond eight they are zero.
static void append_bytes(lua_State *L, text_buffer *out, const format *f, uint64_t value, size_t size) {
    char bytes[largest_integer];
    for (size_t i = 0; i < size; i++) {
        bytes[f->is_big_endian ? size - 1 - i : i] = (char)(i < 8 ? value >> (8 * i) : 0);
    }
    buffer_append(L, out, bytes, size);
}

static uint64_t read_bytes(const format *f, const char *bytes, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value = (value << 8) | (unsigned char)bytes[f->is_big_endian ? i : size - 1 - i];
    }
    return value;
}

static void append_float(lua_State *L, text_buffer *out, const format *f, double number, size_t size) {
    uint64_t bits = 0;
    if (size == 4) {
        float single = (float)number;
        uint32_t half;
        memcpy(&half, &single, sizeof half);
        bits = half;
    } else {
        memcpy(&bits, &number, sizeof bits);
    }
    append_bytes(L, out, f, bits, size);
}

static double read_float(const format *f, const char *bytes, size_t size) {
    uint64_t bits = read_bytes(f, bytes, size);
    if (size == 4) {
        float single;
        uint32_t half = (uint32_t)bits;
        memcpy(&single, &half, sizeof single);
        return single;
    }
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static double read_integer(const format *f, const char *bytes, size_t size, bool is_signed) {
    uint64_t value = read_bytes(f, bytes, size);
    if (!is_signed) return (double)value;
    // Beyond eight bytes, the shift is the one that a processor makes, as in the original.
    uint64_t sign = ~UINT64_C(0) << ((size * 8 - 1) & 63);
    if ((value & sign) != 0) value |= sign;
    return (double)(int64_t)value;
}

static int struct_pack(lua_State *L) {
    text_buffer *out = &host_of(L)->scratch;
    format f = begin_format(luaL_checkstring(L, 1));
    int argument = 2;
    // One that is missing is nil, as the original words it.
    lua_settop(L, lua_gettop(L) + 1);
    out->count = 0;
    while (*f.next != 0) {
        char option = *f.next++;
        size_t size = read_size(L, &f, option);
        for (size_t pad = padding(&f, option, size, out->count); pad > 0; pad--) buffer_append(L, out, "", 1);
        switch (option) {
        case 'b': case 'B': case 'h': case 'H': case 'l': case 'L': case 'T': case 'i': case 'I':
            append_bytes(L, out, &f, bits_of(luaL_checknumber(L, argument++)), size);
            break;
        case 'x': buffer_append(L, out, "", 1); break;
        case 'f': case 'd': append_float(L, out, &f, luaL_checknumber(L, argument++), size); break;
        case 'c': case 's': {
            size_t length;
            const char *bytes = luaL_checklstring(L, argument++, &length);
            if (size == 0) size = length;
            luaL_argcheck(L, length >= size, argument, "string too short");
            buffer_append(L, out, bytes, size);
            if (option == 's') buffer_append(L, out, "", 1);
            break;
        }
        default: set_option(L, &f, option);
        }
    }
    lua_pushlstring(L, out->bytes, out->count);
    buffer_shrink(host_of(L), out);
    return 1;
}

/// The size that c0 takes from the number on the stack's top, which it pops.
static size_t pop_size(lua_State *L, int count) {
    if (count == 0 || !lua_isnumber(L, -1)) luaL_error(L, "format 'c0' needs a previous size");
    double size = lua_tonumber(L, -1);
    lua_pop(L, 1);
    luaL_argcheck(L, size >= 0 && size < 9007199254740992.0, 2, "data string too short");
    return (size_t)size;
}

static int struct_unpack(lua_State *L) {
    size_t length;
    format f = begin_format(luaL_checkstring(L, 1));
    const char *data = luaL_checklstring(L, 2, &length);
    lua_Integer offset = luaL_optinteger(L, 3, 1);
    int count = 0;
    luaL_argcheck(L, offset != 0, 3, "offset must be 1 or greater");
    luaL_argcheck(L, offset > 0, 2, "data string too short");
    size_t position = (size_t)offset - 1;
    while (*f.next != 0) {
        char option = *f.next++;
        size_t size = read_size(L, &f, option);
        position += padding(&f, option, size, position);
        luaL_argcheck(L, size <= length && position <= length - size, 2, "data string too short");
        luaL_checkstack(L, 2, "too many results");
        switch (option) {
        case 'b': case 'B': case 'h': case 'H': case 'l': case 'L': case 'T': case 'i': case 'I':
            lua_pushnumber(L, read_integer(&f, data + position, size, islower((unsigned char)option)));
            count++;
            break;
        case 'x': break;
        case 'f': case 'd':
            lua_pushnumber(L, read_float(&f, data + position, size));
            count++;
            break;
        case 'c':
            if (size == 0) {
                size = pop_size(L, count--);
                luaL_argcheck(L, size <= length && position <= length - size, 2, "data string too short");
            }
            lua_pushlstring(L, data + position, size);
            count++;
            break;
        case 's': {
            const char *end = memchr(data + position, 0, length - position);
            if (end == NULL) luaL_error(L, "unfinished string in data");
            size = (size_t)(end - (data + position)) + 1;
            lua_pushlstring(L, data + position, size - 1);
            count++;
            break;
        }
        default: set_option(L, &f, option);
        }
        position += size;
    }
    lua_pushnumber(L, (lua_Number)(position + 1));
    return count + 1;
}

static int struct_size(lua_State *L) {
    format f = begin_format(luaL_checkstring(L, 1));
    size_t position = 0;
    while (*f.next != 0) {
        char option = *f.next++;
        size_t size = read_size(L, &f, option);
        position += padding(&f, option, size, position);
        luaL_argcheck(L, option != 's', 1, "option 's' has no fixed size");
        luaL_argcheck(L, option != 'c' || size != 0, 1, "option 'c0' has no fixed size");
        // Letters that stand for nothing are passed over here, as by the original.
        if (!isalnum((unsigned char)option)) set_option(L, &f, option);
        position += size;
    }
    lua_pushnumber(L, (lua_Number)position);
    return 1;
}

void open_struct(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"pack", struct_pack}, {"unpack", struct_unpack}, {"size", struct_size}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
}
