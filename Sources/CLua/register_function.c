// redis.register_function, with Redis's own texts for what is wrong.
#include "host.h"
#include <string.h>
#include <strings.h>

/// What is registered; strings stay on the stack of whoever gave them, or in `argument`.
typedef struct {
    lua_host_bytes name;
    lua_host_bytes description;
    unsigned flags;
    int callback;
} registration;

/// The flags that a table at the stack's top names; false: one is unknown.
static bool read_flags(lua_State *L, unsigned *flags) {
    static const struct {
        const char *name;
        unsigned flag;
    } known[] = {
        {"no-writes", lua_host_no_writes},
        {"allow-oom", lua_host_allow_oom},
        {"allow-stale", lua_host_allow_stale},
        {"no-cluster", lua_host_no_cluster},
        {"allow-cross-slot-keys", lua_host_allow_cross_slot_keys},
    };
    enum { count = sizeof known / sizeof known[0] };
    for (int i = 1;; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_isnil(L, -1)) break;
        if (!lua_isstring(L, -1)) return false;
        const char *name = lua_tostring(L, -1);
        int index = 0;
        while (index < count && strcasecmp(known[index].name, name) != 0) index++;
        if (index == count) return false;
        *flags |= known[index].flag;
        lua_pop(L, 1);
        charge(L, 100);
    }
    lua_pop(L, 1);
    return true;
}

/// A string at the stack's top, put where it stays for the call; false: it is none.
static bool read_text(lua_State *L, lua_host_bytes *text, int slot) {
    if (!lua_isstring(L, -1)) return false;
    lua_pushvalue(L, -1);
    text->bytes = lua_tolstring(L, -1, &text->count);
    lua_replace(L, slot);
    return true;
}

enum { table_slot = 1, name_slot, description_slot, callback_slot };

static int read_named(lua_State *L, registration *made) {
    if (!lua_istable(L, table_slot))
        return raise_error(
            L, "calling redis.register_function with a single argument is only applicable to Lua table (representing named "
               "arguments).");
    lua_settop(L, callback_slot);
    lua_pushnil(L);
    while (lua_next(L, table_slot)) {
        if (lua_type(L, -2) != LUA_TSTRING && lua_type(L, -2) != LUA_TNUMBER)
            return raise_error(L, "named argument key given to redis.register_function is not a string");
        // A number as a key stays one: it would confuse lua_next.
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        if (strcasecmp(key, "function_name") == 0) {
            if (!read_text(L, &made->name, name_slot))
                return raise_error(L, "function_name argument given to redis.register_function must be a string");
        } else if (strcasecmp(key, "description") == 0) {
            if (!read_text(L, &made->description, description_slot))
                return raise_error(L, "description argument given to redis.register_function must be a string");
        } else if (strcasecmp(key, "callback") == 0) {
            if (!lua_isfunction(L, -1))
                return raise_error(L, "callback argument given to redis.register_function must be a function");
            lua_pushvalue(L, -1);
            lua_replace(L, callback_slot);
        } else if (strcasecmp(key, "flags") == 0) {
            if (!lua_istable(L, -1))
                return raise_error(L, "flags argument to redis.register_function must be a table representing function flags");
            if (!read_flags(L, &made->flags)) return raise_error(L, "unknown flag given");
        } else {
            return raise_error(L, "unknown argument given to redis.register_function");
        }
        lua_pop(L, 1);
    }
    if (made->name.bytes == NULL) return raise_error(L, "redis.register_function must get a function name argument");
    if (lua_isnil(L, callback_slot)) return raise_error(L, "redis.register_function must get a callback argument");
    made->callback = callback_slot;
    return 0;
}

static int read_positional(lua_State *L, registration *made) {
    if (!lua_isstring(L, 1)) return raise_error(L, "first argument to redis.register_function must be a string");
    if (!lua_isfunction(L, 2)) return raise_error(L, "second argument to redis.register_function must be a function");
    made->name.bytes = lua_tolstring(L, 1, &made->name.count);
    made->callback = 2;
    return 0;
}

int redis_register_function(lua_State *L) {
    lua_host *host = host_of(L);
    registration made = {.description = {NULL, 0}};
    if (!host->is_loading)
        return raise_error(L, "redis.register_function can only be called on FUNCTION LOAD command");
    int count = lua_gettop(L);
    if (count < 1 || count > 2) return raise_error(L, "wrong number of arguments to redis.register_function");
    if (count == 1) {
        read_named(L, &made);
    } else {
        read_positional(L, &made);
    }
    lua_pushvalue(L, made.callback);
    int reference = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_host_bytes error = host->callbacks.register_function(
        host->callbacks.context, made.name, made.description, made.flags, reference);
    if (error.bytes == NULL) return 0;
    push_error(L, error.bytes, error.count, false);
    luaL_unref(L, LUA_REGISTRYINDEX, reference);
    return lua_error(L);
}
