// Memory that Lua and this host hold, and its bound.
#include "host.h"
#include <stdlib.h>
#include <string.h>

enum { buffer_kept = 64 * 1024, buffer_least = 256 };

/// Lua's allocator. Making a block smaller never fails, which Lua counts on.
void *host_allocate(void *context, void *block, size_t old_size, size_t new_size) {
    lua_host *host = context;
    if (new_size == 0) {
        free(block);
        host->memory -= old_size;
        return NULL;
    }
    if (new_size > old_size) {
        size_t more = new_size - old_size;
        if (more > host->memory_limit || host->memory > host->memory_limit - more) return NULL;
    }
    void *moved = realloc(block, new_size);
    if (moved == NULL) return new_size <= old_size ? block : NULL;
    host->memory += new_size - old_size;
    if (host->memory > host->memory_hooked && host->current != NULL) {
        // Until the hook is called; setting it is what Lua allows even a signal's handler.
        host->memory_hooked = SIZE_MAX;
        hook_soon(host->current);
    }
    return moved;
}

bool buffer_try_reserve(lua_host *host, text_buffer *buffer, size_t more) {
    if (more <= buffer->capacity - buffer->count) return true;
    if (more > host->memory_limit) return false;
    size_t wanted = buffer->count + more;
    size_t capacity = wanted < buffer_least ? buffer_least : wanted + wanted / 2;
    char *bytes = host_allocate(host, buffer->bytes, buffer->capacity, capacity);
    if (bytes == NULL) {
        capacity = wanted;
        bytes = host_allocate(host, buffer->bytes, buffer->capacity, capacity);
    }
    if (bytes == NULL) return false;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

void buffer_reserve(lua_State *L, text_buffer *buffer, size_t more) {
    lua_host *host = host_of(L);
    if (buffer_try_reserve(host, buffer, more)) return;
    lua_gc(L, LUA_GCCOLLECT, 0);
    if (!buffer_try_reserve(host, buffer, more)) raise_memory(L);
}

void buffer_append(lua_State *L, text_buffer *buffer, const char *bytes, size_t count) {
    buffer_reserve(L, buffer, count);
    if (count > 0) memcpy(buffer->bytes + buffer->count, bytes, count);
    buffer->count += count;
}

void buffer_free(lua_host *host, text_buffer *buffer) {
    if (buffer->bytes != NULL) host_allocate(host, buffer->bytes, buffer->capacity, 0);
    *buffer = (text_buffer){0};
}

void buffer_shrink(lua_host *host, text_buffer *buffer) {
    if (buffer->capacity > buffer_kept) buffer_free(host, buffer);
    buffer->count = 0;
}

size_t host_headroom(lua_State *L, size_t wanted) {
    lua_host *host = host_of(L);
    if (host->memory_limit - host->memory < wanted) lua_gc(L, LUA_GCCOLLECT, 0);
    return host->memory_limit - host->memory;
}

int raise_memory(lua_State *L) {
    lua_pushliteral(L, "not enough memory");
    return lua_error(L);
}
