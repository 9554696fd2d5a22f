// redis.* (and server.*, as Valkey names it).
#include "host.h"
#include <string.h>

enum { aof = 1, replicas = 2 };

/// What one call costs at least; a long loop of calls executes few instructions of Lua.
enum { work_of_a_call = 2000 };

/// The arguments on the stack as `host->arguments`: their count, or raises. Nothing is allocated once the arrays are there.
static int gather_arguments(lua_State *L, lua_host *host, bool raise) {
    int count = lua_gettop(L);
    char *digits = NULL;
    if (count == 0) {
        const char text[] = "Please specify at least one argument for this redis lib call";
        push_error(L, text, sizeof text - 1, false);
        return raise ? lua_error(L) : -1;
    }
    if ((size_t)count > host->argument_capacity) {
        size_t size = sizeof(lua_host_bytes);
        void *grown = host_allocate(host, host->arguments, host->argument_capacity * size, (size_t)count * 2 * size);
        if (grown == NULL) raise_memory(L);
        host->arguments = grown;
        host->argument_capacity = (size_t)count * 2;
    }
    for (int i = 0; i < count; i++) {
        lua_host_bytes *argument = &host->arguments[i];
        int type = lua_type(L, i + 1);
        if (type == LUA_TSTRING) {
            argument->bytes = lua_tolstring(L, i + 1, &argument->count);
        } else if (type == LUA_TNUMBER) {
            if (digits == NULL) {
                host->digits.count = 0;
                buffer_reserve(L, &host->digits, (size_t)count * 32);
                digits = host->digits.bytes;
            }
            argument->bytes = digits;
            argument->count = write_number(lua_tonumber(L, i + 1), digits);
            digits += 32;
        } else {
            const char text[] = "Lua redis lib command arguments must be strings or integers";
            lua_settop(L, 0);
            push_error(L, text, sizeof text - 1, false);
            return raise ? lua_error(L) : -1;
        }
    }
    return count;
}

static int execute(lua_State *L, bool raise) {
    lua_host *host = host_of(L);
    int count = gather_arguments(L, host, raise);
    if (count < 0) return 1;
    if (!host->is_running) return raise_error(L, "redis.call and redis.pcall can only be called inside a script or a function");
    lua_host_bytes reply = host->callbacks.execute(host->callbacks.context, host->arguments, count, host->resp);
    lua_settop(L, 0);
    push_reply(L, reply);
    charge(L, work_of_a_call);
    return raise && reply.bytes[0] == '-' ? lua_error(L) : 1;
}

static int redis_call(lua_State *L) { return execute(L, true); }
static int redis_pcall(lua_State *L) { return execute(L, false); }

static int redis_acl_check_cmd(lua_State *L) {
    lua_host *host = host_of(L);
    int count = gather_arguments(L, host, true);
    int allowed = host->callbacks.may_execute(host->callbacks.context, host->arguments, count);
    if (allowed < 0) return raise_error(L, "Invalid command passed to redis.acl_check_cmd()");
    lua_pushboolean(L, allowed);
    return 1;
}

static int redis_error_reply(lua_State *L) {
    size_t count;
    if (lua_gettop(L) != 1 || lua_type(L, 1) != LUA_TSTRING) {
        const char text[] = "wrong number or type of arguments";
        push_error(L, text, sizeof text - 1, false);
        return 1;
    }
    const char *text = lua_tolstring(L, 1, &count);
    if (text[0] != '-') {
        lua_pushliteral(L, "-");
        lua_insert(L, 1);
        lua_concat(L, 2);
        text = lua_tolstring(L, 1, &count);
    }
    push_error(L, text, strlen(text), false);
    return 1;
}

static int redis_status_reply(lua_State *L) {
    if (lua_gettop(L) != 1 || lua_type(L, 1) != LUA_TSTRING) {
        const char text[] = "wrong number or type of arguments";
        push_error(L, text, sizeof text - 1, false);
        return 1;
    }
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "ok");
    lua_pushvalue(L, 1);
    lua_rawset(L, -3);
    return 1;
}

static int redis_sha1hex(lua_State *L) {
    lua_host *host = host_of(L);
    char digits[40];
    lua_host_bytes bytes = {"", 0};
    if (lua_gettop(L) != 1) return raise_error(L, "wrong number of arguments");
    // Of anything else, as in Redis, the sum of nothing.
    if (lua_isstring(L, 1)) bytes.bytes = lua_tolstring(L, 1, &bytes.count);
    charge(L, bytes.count * 4);
    host->callbacks.sha1(host->callbacks.context, bytes, digits);
    lua_pushlstring(L, digits, sizeof digits);
    return 1;
}

static int redis_log(lua_State *L) {
    lua_host *host = host_of(L);
    int count = lua_gettop(L);
    if (count < 2) return raise_error(L, "redis.log() requires two arguments or more.");
    if (!lua_isnumber(L, 1)) return raise_error(L, "First argument must be a number (log level).");
    double level = lua_tonumber(L, 1);
    if (!(level > -1 && level < 4)) return raise_error(L, "Invalid debug level.");
    host->scratch.count = 0;
    for (int i = 2; i <= count; i++) {
        size_t length;
        const char *bytes = lua_tolstring(L, i, &length);
        if (bytes == NULL) continue;
        if (i > 2) buffer_append(L, &host->scratch, " ", 1);
        buffer_append(L, &host->scratch, bytes, length);
    }
    lua_host_bytes text = {host->scratch.bytes, host->scratch.count};
    host->callbacks.log(host->callbacks.context, (int)level, text);
    return 0;
}

static int redis_setresp(lua_State *L) {
    if (lua_gettop(L) != 1) return raise_error(L, "redis.setresp() requires one argument.");
    double version = lua_tonumber(L, 1);
    if (!(version >= 2 && version < 4)) return raise_error(L, "RESP version must be 2 or 3.");
    host_of(L)->resp = (int)version;
    return 0;
}

static int redis_set_repl(lua_State *L) {
    lua_host *host = host_of(L);
    if (lua_gettop(L) != 1) return raise_error(L, "redis.set_repl() requires one argument.");
    double flags = lua_tonumber(L, 1);
    if (!(flags > -1 && flags < 4))
        return raise_error(L, "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.");
    host->callbacks.set_replication(host->callbacks.context, (int)flags);
    return 0;
}

static int redis_replicate_commands(lua_State *L) {
    lua_pushboolean(L, 1);
    return 1;
}

/// There is no debugger.
static int redis_breakpoint(lua_State *L) {
    lua_pushboolean(L, 0);
    return 1;
}

static int redis_debug(lua_State *L) {
    (void)L;
    return 0;
}

static void set_number(lua_State *L, const char *name, double number) {
    lua_pushnumber(L, number);
    lua_setfield(L, -2, name);
}

/// "7.2.4" is 0x00070204.
static double version_number(const char *text) {
    unsigned parts[3] = {0}, index = 0;
    for (; *text != 0 && index < 3; text++) {
        if (*text == '.') {
            index++;
        } else if (*text >= '0' && *text <= '9') {
            parts[index] = parts[index] * 10 + (unsigned)(*text - '0');
        }
    }
    return (double)((parts[0] << 16) | (parts[1] << 8) | parts[2]);
}

static void set_version_and_log(lua_State *L) {
    lua_host *host = host_of(L);
    lua_pushstring(L, host->version);
    lua_setfield(L, -2, "REDIS_VERSION");
    set_number(L, "REDIS_VERSION_NUM", version_number(host->version));
    lua_pushcfunction(L, redis_log);
    lua_setfield(L, -2, "log");
    set_number(L, "LOG_DEBUG", 0);
    set_number(L, "LOG_VERBOSE", 1);
    set_number(L, "LOG_NOTICE", 2);
    set_number(L, "LOG_WARNING", 3);
}

void open_redis(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"call", redis_call},
        {"pcall", redis_pcall},
        {"error_reply", redis_error_reply},
        {"status_reply", redis_status_reply},
        {"sha1hex", redis_sha1hex},
        {"setresp", redis_setresp},
        {"set_repl", redis_set_repl},
        {"acl_check_cmd", redis_acl_check_cmd},
        {NULL, NULL},
    };
    static const luaL_Reg of_scripts[] = {
        {"replicate_commands", redis_replicate_commands},
        {"breakpoint", redis_breakpoint},
        {"debug", redis_debug},
        {NULL, NULL},
    };
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    if (!host_of(L)->for_functions) luaL_register(L, NULL, of_scripts);
    set_version_and_log(L);
    set_number(L, "REPL_NONE", 0);
    set_number(L, "REPL_AOF", aof);
    set_number(L, "REPL_SLAVE", replicas);
    set_number(L, "REPL_REPLICA", replicas);
    set_number(L, "REPL_ALL", aof | replicas);
}

int redis_register_function(lua_State *L);

/// What a library's code has while it is loaded.
void open_redis_for_loading(lua_State *L) {
    lua_newtable(L);
    lua_pushcfunction(L, redis_register_function);
    lua_setfield(L, -2, "register_function");
    set_version_and_log(L);
}
