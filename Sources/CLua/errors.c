// Errors as Redis 7 has them: a command's is a table {err, ignore_error_stats_update}; any other gets ERR, and where it was
// raised, at the end of the script.
#include "host.h"
#include <string.h>

void push_error(lua_State *L, const char *bytes, size_t count, bool counted) {
    while (count > 0 && (bytes[count - 1] == '\r' || bytes[count - 1] == '\n')) count--;
    luaL_checkstack(L, 4, "too many values");
    lua_createtable(L, 0, counted ? 2 : 1);
    lua_pushliteral(L, "err");
    if (count > 0 && bytes[0] == '-') {
        bytes++;
        count--;
        // A code alone is a text without code.
        if (memchr(bytes, ' ', count) != NULL) {
            lua_pushlstring(L, bytes, count);
            bytes = NULL;
        }
    }
    if (bytes != NULL || count == 0) {
        lua_pushliteral(L, "ERR ");
        lua_pushlstring(L, bytes, count);
        lua_concat(L, 2);
    }
    lua_rawset(L, -3);
    if (!counted) return;
    lua_pushliteral(L, "ignore_error_stats_update");
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
}

int raise_error(lua_State *L, const char *text) {
    push_error(L, text, strlen(text), false);
    return lua_error(L);
}

int note_error_place(lua_State *L) {
    lua_host *host = host_of(L);
    lua_Debug place;
    host->error_source[0] = 0;
    host->error_line = 0;
    // Level 0 is this handler; a C function that raised is called from the line that is meant.
    if (lua_getstack(L, 1, &place) && lua_getinfo(L, "Sl", &place)) {
        bool known = true;
        if (strcmp(place.what, "C") == 0) known = lua_getstack(L, 2, &place) && lua_getinfo(L, "Sl", &place);
        if (known) {
            size_t length = strlen(place.source);
            if (length >= sizeof host->error_source) length = sizeof host->error_source - 1;
            memcpy(host->error_source, place.source, length);
            host->error_source[length] = 0;
            host->error_line = place.currentline;
        }
    }
    return 1;
}

static void note_message(lua_State *L, const char *bytes, size_t count) {
    text_buffer *message = &host_of(L)->error_message;
    while (count > 0 && (bytes[count - 1] == '\r' || bytes[count - 1] == '\n')) count--;
    message->count = 0;
    buffer_append(L, message, bytes, count);
    for (size_t i = 0; i < count; i++)
        if (message->bytes[i] == '\r' || message->bytes[i] == '\n') message->bytes[i] = ' ';
}

void note_error(lua_State *L) {
    lua_host *host = host_of(L);
    size_t count;
    host->error_is_counted = false;
    host->error_has_code = lua_istable(L, -1);
    if (!host->error_has_code) {
        if (lua_isstring(L, -1)) {
            const char *bytes = lua_tolstring(L, -1, &count);
            note_message(L, bytes, count);
        } else if (lua_isboolean(L, -1)) {
            note_message(L, lua_toboolean(L, -1) ? "true" : "false", lua_toboolean(L, -1) ? 4 : 5);
        } else {
            note_message(L, luaL_typename(L, -1), strlen(luaL_typename(L, -1)));
        }
        return;
    }
    lua_pushliteral(L, "ignore_error_stats_update");
    lua_rawget(L, -2);
    host->error_is_counted = lua_toboolean(L, -1);
    lua_pop(L, 1);
    lua_pushliteral(L, "err");
    lua_rawget(L, -2);
    if (lua_isstring(L, -1)) {
        const char *bytes = lua_tolstring(L, -1, &count);
        note_message(L, bytes, count);
    } else {
        host->error_has_code = false;
        note_message(L, "the error is a table without a field 'err'", 42);
    }
    lua_pop(L, 1);
}
