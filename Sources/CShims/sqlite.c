// What Swift cannot call of SQLite: functions with a variable number of arguments; and an allocator that refuses a thread
// what is beyond its limit.
//
// SQLite's own limits of memory are the process's, and the thread that writes checkpoints must never be refused any. So the
// limit is a thread's: what it allocates is counted, and what goes beyond fails as where there is no memory, which SQLite
// deals with everywhere.

#include "CShims.h"
#include <sqlite3.h>

static sqlite3_mem_methods system_memory;
// 0: none. Bytes that the thread has allocated and not freed since the limit was set; what others had allocated may make it
// negative.
static _Thread_local int64_t limit;
static _Thread_local int64_t used;

static void *allocate(int size) {
    if (limit == 0) return system_memory.xMalloc(size);
    if (used + size > limit) return NULL;
    void *memory = system_memory.xMalloc(size);
    if (memory) used += system_memory.xSize(memory);
    return memory;
}

static void release(void *memory) {
    if (limit != 0 && memory) used -= system_memory.xSize(memory);
    system_memory.xFree(memory);
}

static void *reallocate(void *memory, int size) {
    if (limit == 0) return system_memory.xRealloc(memory, size);
    int before = system_memory.xSize(memory);
    if (size > before && used + (size - before) > limit) return NULL;
    void *moved = system_memory.xRealloc(memory, size);
    if (moved) used += system_memory.xSize(moved) - before;
    return moved;
}

// Before anything uses SQLite, as its allocator cannot be changed later.
__attribute__((constructor)) static void install(void) {
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &system_memory) != SQLITE_OK) return;
    sqlite3_mem_methods limited = system_memory;
    limited.xMalloc = allocate;
    limited.xFree = release;
    limited.xRealloc = reallocate;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &limited);
}

void cshims_sqlite_limit_memory(int64_t bytes) {
    limit = bytes;
    used = 0;
}

// Not SQLITE_DBCONFIG_TRUSTED_SCHEMA: where it is off, SQLite 3.40 refuses json_group_object in views. The authorizer is asked for
// the functions in views too.
int cshims_sqlite_distrust(void *connection) {
    static const struct {
        int option, value;
    } options[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},      {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0}, {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, {SQLITE_DBCONFIG_DQS_DML, 0},         {SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        int now = 0;
        int status = sqlite3_db_config(connection, options[i].option, options[i].value, &now);
        if (status != SQLITE_OK) return status;
        if (now != options[i].value) return SQLITE_ERROR;
    }
    return SQLITE_OK;
}
