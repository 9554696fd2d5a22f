"""Which folders of Sources name what is declared in which other folders.

A scan for identifiers: types, functions and aliases that are declared at the top level of a file, and the names of types in
extensions. Names that are declared in two files are left out. Members are not seen, but who uses one has named its type or
got a value of it from somebody who has.
"""

import collections
import pathlib
import re

DECLARATION = re.compile(
    r"^(?:@\w+(?:\([^)]*\))?\s+)*((?:public|package|internal|private|fileprivate|final|indirect)(?:\(\w+\))?\s+)*"
    r"(?:actor|class|struct|enum|protocol|func|typealias)\s+(\w+)",
    re.M,
)
WORD = re.compile(r"\b[A-Za-z_]\w*\b")


def folder(path, sources):
    parts = path.relative_to(sources).parts
    return "/".join(parts[:2]) if len(parts) > 2 else parts[0]


def bare(text):
    """Swift without comments and strings."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"//.*", "", text)
    text = re.sub(r'"""(.*?)"""', '""', text, flags=re.S)
    return re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', text)


def arrows(sources):
    """{(from, to): {identifier}} for folders of the same target."""
    sources = pathlib.Path(sources)
    texts = {path: bare(path.read_text()) for path in sorted(sources.rglob("*.swift"))}
    declared = collections.defaultdict(set)
    for path, text in texts.items():
        for found in DECLARATION.finditer(text):
            if "private" in found.group(0).split():
                continue
            declared[(path.relative_to(sources).parts[0], found.group(2))].add(path)
    result = collections.defaultdict(set)
    for path, text in texts.items():
        target = path.relative_to(sources).parts[0]
        for word in set(WORD.findall(text)):
            places = declared.get((target, word), ())
            if len(places) != 1:
                continue
            (place,) = places
            if folder(place, sources) != folder(path, sources):
                result[(folder(path, sources), folder(place, sources))].add(word)
    return result


if __name__ == "__main__":
    import sys

    for (source, target), names in sorted(arrows(sys.argv[1] if len(sys.argv) > 1 else "Sources").items()):
        print(f"{source} -> {target}: {', '.join(sorted(names))}")
