// The matcher of Lua 5.1's patterns: the same language and the same errors, but matching backtracks within a budget of work,
// in which the interrupt is asked, and recurses to a limit.
#include "patterns.h"
#include <ctype.h>
#include <string.h>

enum {
    escape = '%',
    /// Each level is an item of the pattern that may match several times.
    deepest = 1000,
    steps_between = 10000,
};

static const char *match(match_state *m, const char *s, const char *p);

static void spend(match_state *m, ptrdiff_t steps) {
    if (steps > steps_between) {
        charge(m->L, (size_t)steps);
        return;
    }
    m->steps -= (int)steps;
    if (m->steps > 0) return;
    m->steps = steps_between;
    charge(m->L, steps_between * 4);
}

/// Where the single character or class that begins at `p` ends.
static const char *end_of_class(match_state *m, const char *p) {
    char first = *p++;
    if (first == escape) {
        if (*p == 0) luaL_error(m->L, "malformed pattern (ends with '%%')");
        return p + 1;
    }
    if (first != '[') return p;
    if (*p == '^') p++;
    // A bracket right at the start is one of the set.
    do {
        if (*p == 0) luaL_error(m->L, "malformed pattern (missing ']')");
        if (*p++ == escape && *p != 0) p++;
    } while (*p != ']');
    return p + 1;
}

static bool is_in_named_class(int character, int name) {
    bool found;
    switch (tolower(name)) {
    case 'a': found = isalpha(character); break;
    case 'c': found = iscntrl(character); break;
    case 'd': found = isdigit(character); break;
    case 'l': found = islower(character); break;
    case 'p': found = ispunct(character); break;
    case 's': found = isspace(character); break;
    case 'u': found = isupper(character); break;
    case 'w': found = isalnum(character); break;
    case 'x': found = isxdigit(character); break;
    case 'z': found = character == 0; break;
    default: return name == character;
    }
    return isupper(name) ? !found : found;
}

/// Whether a character is in the set from the bracket at `p` to the one at `last`.
static bool is_in_set(match_state *m, int character, const char *p, const char *last) {
    bool positive = true;
    spend(m, last - p);
    if (p[1] == '^') {
        positive = false;
        p++;
    }
    while (++p < last) {
        if (*p == escape) {
            p++;
            if (is_in_named_class(character, (unsigned char)*p)) return positive;
        } else if (p[1] == '-' && p + 2 < last) {
            p += 2;
            if ((unsigned char)p[-2] <= character && character <= (unsigned char)*p) return positive;
        } else if ((unsigned char)*p == character) {
            return positive;
        }
    }
    return !positive;
}

/// Whether the character at `s` is one of the class from `p` to `class_end`.
static bool is_single_match(match_state *m, const char *s, const char *p, const char *class_end) {
    if (s >= m->end) return false;
    int character = (unsigned char)*s;
    switch (*p) {
    case '.': return true;
    case escape: return is_in_named_class(character, (unsigned char)p[1]);
    case '[': return is_in_set(m, character, p, class_end - 1);
    default: return (unsigned char)*p == character;
    }
}

/// %bxy at `p`, after the b.
static const char *match_balanced(match_state *m, const char *s, const char *p) {
    if (p[0] == 0 || p[1] == 0) luaL_error(m->L, "unbalanced pattern");
    if (s >= m->end || *s != p[0]) return NULL;
    const char *start = s;
    const char *found = NULL;
    long depth = 1;
    while (found == NULL && ++s < m->end) {
        if (*s == p[1]) {
            if (--depth == 0) found = s + 1;
        } else if (*s == p[0]) {
            depth++;
        }
    }
    spend(m, s - start);
    return found;
}

/// As often as possible, then less often, until the rest of the pattern matches.
static const char *match_most(match_state *m, const char *s, const char *p, const char *class_end) {
    ptrdiff_t count = 0;
    while (is_single_match(m, s + count, p, class_end)) count++;
    spend(m, count);
    for (; count >= 0; count--) {
        const char *found = match(m, s + count, class_end + 1);
        if (found != NULL) return found;
    }
    return NULL;
}

static const char *match_least(match_state *m, const char *s, const char *p, const char *class_end) {
    for (;; s++) {
        const char *found = match(m, s, class_end + 1);
        if (found != NULL) return found;
        if (!is_single_match(m, s, p, class_end)) return NULL;
    }
}

static const char *open_capture(match_state *m, const char *s, const char *p, ptrdiff_t kind) {
    if (m->level >= most_captures) luaL_error(m->L, "too many captures");
    m->captures[m->level] = (capture){s, kind};
    m->level++;
    const char *found = match(m, s, p);
    if (found == NULL) m->level--;
    return found;
}

static const char *close_capture(match_state *m, const char *s, const char *p) {
    int index = m->level - 1;
    while (index >= 0 && m->captures[index].length != capture_is_open) index--;
    if (index < 0) luaL_error(m->L, "invalid pattern capture");
    m->captures[index].length = s - m->captures[index].start;
    const char *found = match(m, s, p);
    if (found == NULL) m->captures[index].length = capture_is_open;
    return found;
}

/// %1 to %9: the text of that capture once more.
static const char *match_captured(match_state *m, const char *s, int digit) {
    int index = digit - '1';
    if (index < 0 || index >= m->level || m->captures[index].length == capture_is_open)
        luaL_error(m->L, "invalid capture index");
    const capture *c = &m->captures[index];
    // One of a position has no text, and Lua takes its length for a large one.
    if (c->length < 0 || m->end - s < c->length) return NULL;
    spend(m, c->length / 16);
    return memcmp(c->start, s, (size_t)c->length) == 0 ? s + c->length : NULL;
}

/// %f[set] at `p`, after the f: between a character that is not in the set and one that is.
static bool is_frontier(match_state *m, const char *s, const char *p, const char *class_end) {
    int before = s == m->text ? 0 : (unsigned char)s[-1];
    int after = s < m->end ? (unsigned char)*s : 0;
    return !is_in_set(m, before, p, class_end - 1) && is_in_set(m, after, p, class_end - 1);
}

/// The items of a pattern one by one; those that match once without recursion.
static const char *match_items(match_state *m, const char *s, const char *p) {
    for (;;) {
        spend(m, 1);
        const char *class_end;
        switch (*p) {
        case 0: return s;
        case '(':
            return p[1] == ')' ? open_capture(m, s, p + 2, capture_is_position) : open_capture(m, s, p + 1, capture_is_open);
        case ')': return close_capture(m, s, p + 1);
        case '$':
            if (p[1] == 0) return s == m->end ? s : NULL;
            break;
        case escape:
            if (p[1] == 'b') {
                s = match_balanced(m, s, p + 2);
                if (s == NULL) return NULL;
                p += 4;
                continue;
            }
            if (p[1] == 'f') {
                p += 2;
                if (*p != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
                class_end = end_of_class(m, p);
                if (!is_frontier(m, s, p, class_end)) return NULL;
                p = class_end;
                continue;
            }
            if (isdigit((unsigned char)p[1])) {
                s = match_captured(m, s, (unsigned char)p[1]);
                if (s == NULL) return NULL;
                p += 2;
                continue;
            }
            break;
        default: break;
        }
        class_end = end_of_class(m, p);
        if (*class_end == '*') return match_most(m, s, p, class_end);
        if (*class_end == '-') return match_least(m, s, p, class_end);
        bool matches = is_single_match(m, s, p, class_end);
        if (*class_end == '+') return matches ? match_most(m, s + 1, p, class_end) : NULL;
        if (*class_end == '?') {
            const char *found = matches ? match(m, s + 1, class_end + 1) : NULL;
            if (found != NULL) return found;
            p = class_end + 1;
        } else {
            if (!matches) return NULL;
            s++;
            p = class_end;
        }
    }
}

static const char *match(match_state *m, const char *s, const char *p) {
    if (++m->depth > deepest) luaL_error(m->L, "pattern too complex");
    const char *found = match_items(m, s, p);
    m->depth--;
    return found;
}

const char *match_pattern(match_state *m, const char *at, const char *pattern) {
    m->level = 0;
    m->depth = 0;
    return match(m, at, pattern);
}

void push_capture(match_state *m, int index, const char *start, const char *end) {
    if (index >= m->level) {
        if (index != 0) luaL_error(m->L, "invalid capture index");
        lua_pushlstring(m->L, start, (size_t)(end - start));
        return;
    }
    const capture *c = &m->captures[index];
    if (c->length == capture_is_open) luaL_error(m->L, "unfinished capture");
    if (c->length == capture_is_position) {
        lua_pushinteger(m->L, c->start - m->text + 1);
    } else {
        lua_pushlstring(m->L, c->start, (size_t)c->length);
    }
}

int push_captures(match_state *m, const char *start, const char *end) {
    int count = m->level == 0 && start != NULL ? 1 : m->level;
    luaL_checkstack(m->L, count, "too many captures");
    for (int i = 0; i < count; i++) push_capture(m, i, start, end);
    return count;
}
