// Lua's patterns, with a bound on time and depth.
#ifndef CLUA_PATTERNS_H
#define CLUA_PATTERNS_H

#include "host.h"

enum { most_captures = 32, capture_is_open = -1, capture_is_position = -2 };

typedef struct {
    const char *start;
    /// Or one of `capture_is_…`.
    ptrdiff_t length;
} capture;

/// A search in one text. The matcher stops at a zero byte of the pattern, as Lua 5.1's does.
typedef struct {
    lua_State *L;
    const char *text;
    const char *end;
    int depth;
    /// Steps until `charge` is called.
    int steps;
    int level;
    capture captures[most_captures];
} match_state;

/// Begins a match anew, and matches from `at`: its end, or NULL.
const char *match_pattern(match_state *m, const char *at, const char *pattern);
/// Pushes capture `index`; 0 of a pattern without captures is all that was matched.
void push_capture(match_state *m, int index, const char *start, const char *end);
/// Pushes all captures, or all that was matched (unless `start` is NULL) if there are none: their count.
int push_captures(match_state *m, const char *start, const char *end);

#endif
