"""What the tidy tests need to know of Swift's syntax: comments, strings, braces."""

import re


def masked(text, strings=True):
    """`text` with comments, and unless told otherwise strings, as blanks: offsets and lines stay."""
    out = list(text)
    at = 0
    while at < len(text):
        end = at + 1
        blank = True
        if text.startswith("//", at):
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
        elif text.startswith("/*", at):
            end = text.index("*/", at) + 2
        elif text.startswith('"""', at):
            end = text.index('"""', at + 3) + 3
            blank = strings
        elif text[at] == '"':
            while text[end] not in '"\n':
                end += 2 if text[end] == "\\" else 1
            end += 1
            blank = strings
        else:
            blank = False
        if blank:
            out[at:end] = [c if c == "\n" else " " for c in text[at:end]]
        at = end
    return "".join(out)


def line(text, offset):
    return text.count("\n", 0, offset) + 1


def closing(text, opening):
    """Where the brace at `opening` is closed, in masked text."""
    depth = 0
    for found in re.compile(r"[{}]").finditer(text, opening):
        depth += 1 if found.group() == "{" else -1
        if depth == 0:
            return found.start()
    return len(text)


FUNCTION = re.compile(
    r"\b(?:func\s+([^\s<(]+)\s*[<(]|(init)[?!]?\s*[<(]|(deinit)\b|(subscript)\s*[<(]|var\s+(\w+)\s*:[^={}\n]*(?=\{))"
)


def functions(text):
    """(name, first line, lines) of each function, initializer and computed property in masked text."""
    for found in FUNCTION.finditer(text):
        # The body's brace, behind parameters and return type; a declaration without a body ends with its line.
        depth = 0
        at = found.end() if found.group(5) or found.group(3) else found.end() - 1
        while at < len(text):
            if text[at] in "([":
                depth += 1
            elif text[at] in ")]":
                depth -= 1
            elif depth == 0 and text[at] in "{}":
                break
            elif depth == 0 and text[at] == "\n" and not re.match(r"\s*(?:->|throws|rethrows|where|\{)", text[at:]):
                break
            at += 1
        if at < len(text) and text[at] == "{":
            first, last = line(text, found.start()), line(text, closing(text, at))
            yield next(name for name in found.groups() if name), first, last - first + 1


def switches(text):
    """(line of the default, patterns of the cases) of each switch in masked text that has a default."""
    for found in re.finditer(r"\bswitch\b[^{}]*(?:\{[^{}]*\}[^{}]*?)*?\{", text):
        patterns, default, depth = [], None, 0
        opening = found.end() - 1
        for part in re.compile(r"[{}]|\b(?:case\b[^:{}]*|default\s*):").finditer(
            text, opening + 1, closing(text, opening)
        ):
            if part.group() in "{}":
                depth += 1 if part.group() == "{" else -1
            elif depth == 0 and part.group().startswith("default"):
                default = line(text, part.start())
            elif depth == 0:
                patterns.append(part.group()[4:-1].strip())
        if default is not None:
            yield default, patterns


DECLARED = re.compile(
    r"\b(?:func|var|let|case|struct|class|enum|protocol|actor|typealias|associatedtype|macro)\s+(?:`)?([A-Za-z_]\w*)"
)
WORD = re.compile(r"[A-Za-z_]\w*")


def declared(text):
    """(name, line) of what masked text declares: also the second and later names of `case a, b` and `var a, b`."""
    for found in DECLARED.finditer(text):
        # `case EMFILE:` is a pattern.
        if found.group().startswith("case") and found.group(1)[0].isupper():
            continue
        yield found.group(1), line(text, found.start())
        rest = re.compile(r"(?:\([^()\n]*\))?\s*(?:=\s*[^,\n{]+)?,\s*([A-Za-z_]\w*)")
        if found.group().startswith("case") and not re.compile(r"[^\n]*:\s*(?://|\n|[^\n]*$)").match(text, found.end()):
            at = found.end()
            while more := rest.match(text, at):
                yield more.group(1), line(text, more.start(1))
                at = more.end()
