"""The rules that the sources keep and the compiler does not check. No server is needed.

ARCHITECTURE.md says why each of them is there.
"""

import collections
import pathlib
import re

import pytest

import arrows
import swift_source

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ROOT / "Sources"
FILES = sorted(SOURCES.rglob("*.swift"))
C_FILES = sorted(SOURCES.rglob("*.[ch]"))

# Folder of Sources: what its files may import. The arrows of ARCHITECTURE.md.
SYSTEM = {"Glibc", "Synchronization"}
IMPORTS = {
    "Storage": SYSTEM | {"schema", "CSQLite", "CLZF", "CJemalloc", "CCrypto", "CShims"},
    "Server": SYSTEM | {"Storage", "CShims", "CLua", "CSSL"},
    "Migrate": SYSTEM | {"Storage", "Server", "ArgumentParser", "CSSL", "CZlib", "CZstd"},
}
# The program over the library.
MAIN = ("Server/Main", {"Server"})
# A library that one folder or file alone deals with.
IMPORTED_BY = {
    "schema": "Storage/Snapshot/",
    "CSQLite": ("Storage/Snapshot/SQLite.swift", "Storage/Snapshot/Query/"),
    "CLua": "Server/Scripting/LuaHost.swift",
    "CSSL": ("Server/Network/TLS/", "Migrate/Remote/TLSClient.swift"),
    "CZlib": "Migrate/Files/Gzip.swift",
    "CZstd": "Migrate/Files/Zstd.swift",
    "CLZF": "Storage/RDB/LZF.swift",
    "CJemalloc": "Storage/Base/Memory",
    "CCrypto": "Storage/Base/SHA",
}
# Who may call our C: in the server the network, jobs, persistence and what deals with the process; in Storage what prefetches, formats numbers,
# waits on a futex or computes a CRC32C.
CSHIMS_FOLDERS = ("Server/Network/", "Server/Jobs/", "Server/Persistence/")
CSHIMS_FILES = {
    "Server/App/ProcessControl.swift",
    "Storage/Base/DoubleText.swift",
    "Storage/Base/Mailbox.swift",
    "Storage/Memory/Entry.swift",
    "Storage/Memory/EntryTable.swift",
    "Storage/Memory/EntryTable+Walks.swift",
    "Storage/Keyspace/Strings.swift",
    "Storage/Log/LogFormat.swift",
    "Storage/Snapshot/Query/QueryFunctions.swift",
    "Storage/Snapshot/Query/SnapshotQuery.swift",
    "Storage/Files/RealFileSystem.swift",
    "Storage/Log/LogTail.swift",
    "Storage/Types/EntryValue.swift",
    "Storage/Memory/Intset.swift",
    "Storage/Memory/ListpackEditing.swift",
    "Storage/Memory/RawBlock.swift",
}

# The folders of each target, from the top: one may name what is declared further down in its list.
ORDER = {
    "Storage": [
        "Durability",
        "Inspect",
        "History",
        "AOF",
        "RDB",
        "Snapshot",
        "Digest",
        "Log",
        "Keyspace",
        "Types",
        "Rows",
        "Memory",
        "Files",
        "Base",
    ],
    "Server": [
        "Main",
        "App",
        "Commands",
        "Scripting",
        "Replication",
        "SQL",
        "Persistence",
        "Transfer",
        "Network",
        "Router",
        "Memory",
        "Tracking",
        "PubSub",
        "Jobs",
        "Clients",
        "Registry",
        "ACL",
        "Propagation",
        "Observability",
        "Config",
        "RESP",
    ],
    "Migrate": ["Commands", "Remote", "Conversion", "Reports", "Filters", "Formats", "Files", "Console"],
}
MAX_LINES = 500
MAX_FUNCTION_LINES = 70
# Declarations whose names nothing repeats: why they are there.
USED_UNNAMED = {"RedisMigrate": "the program, by @main", "appendLiteral": "what the compiler makes of an interpolation"}

SOCKET_PLACES = ("Server/Network/", "Migrate/Remote/Wire.swift")
SOCKET_CALL = re.compile(
    r"\bepoll_\w+|\bcshims_accept\w*\s*\(|\bsockaddr_\w+|\baddrinfo\b|\bgetaddrinfo\s*\("
    r"|(?<![\w.])(?:Glibc\.)?(?:socket|setsockopt|getsockname|getpeername|recv|recvmsg|sendmsg|accept4)\s*\("
    r"|\bGlibc\.(?:bind|listen|connect|send|accept|shutdown)\s*\("
)
# What Storage asks of the system about files: through its FileSystem, so that tests can stand in for the disk. Names that
# methods have too count where the file declares no such method.
FILE_CALL = re.compile(
    r"(?<![\w.])(?:openat|creat|pread|pwrite|readv|writev|lseek|fsync|fdatasync|sync_file_range|ftruncate|fallocate"
    r"|posix_fallocate|posix_fadvise|flock|fcntl|opendir|fdopendir|readdir|scandir|fopen|fdopen|fread|fwrite|fstat|lstat"
    r"|stat|fstatat|statfs|statvfs|access|realpath|unlinkat|renameat|renameat2|linkat|symlink|mkdir|rmdir|mkstemp|sendfile"
    r"|copy_file_range)\s*\(|\bGlibc\.(?:open|close|read|write|rename|unlink|link|remove|truncate)\s*\(|\bO_[A-Z]{3,}\b"
    r"|\bFileManager\b|\bcshims_(?:allocate|begin_writeback)\b"
)
FILE_CALL_OR_METHOD = re.compile(
    r"(?<![\w.])(?<!func )(?:(open|close|rename|unlink|link|truncate|mmap)\s*\(|(read|write)\s*\(\s*(?:descriptor|fd)\b)"
)
REAL_FILES = {
    "Storage/Files/RealFileSystem.swift": "makes the calls",
    "Storage/Base/MemoryStatistics.swift": "reads /proc, which no disk holds",
}
SQL = re.compile(
    r"\bSELECT\b[^\"]*\bFROM\b|\bINSERT\s+INTO\b|\bDELETE\s+FROM\b|\bUPDATE\s+\w+\s+SET\b"
    r"|\bCREATE\s+(?:TABLE|VIEW|INDEX)\b|\bPRAGMA\b"
)
UNSAFE = re.compile(
    r"\bUnsafeMutableRawPointer\b|\bUnsafeMutablePointer\b|\bUnsafeRawPointer\b|\bUnsafePointer\b|\bUnmanaged\b"
    r"|unowned\(unsafe\)|@unchecked\b"
)
# The bytes of a temporary: its buffer may be freed before they are read.
TEMPORARY_BYTES = re.compile(r"[)}?!]\.bytes\b")
# Tests' helpers whose bytes are never freed, and how their calls may look where the pattern finds them.
NEVER_FREED = re.compile(r"(?<!\w)(?:Text|text|command)\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)\.bytes\b")
# File: why it needs no `Invariant of this file`. Keep it short.
BACK_REFERENCE = "unowned(unsafe) only, to an object that outlives this one"
NO_INVARIANT_NEEDED = {
    "Server/Persistence/PersistenceControl.swift": BACK_REFERENCE,
    "Server/Registry/Session.swift": BACK_REFERENCE,
    "Server/Registry/CommandEntry.swift": BACK_REFERENCE,
    "Server/Router/Router.swift": BACK_REFERENCE,
    "Server/Router/ServerPart.swift": BACK_REFERENCE,
    "Storage/Keyspace/Database.swift": BACK_REFERENCE,
    "Storage/Types/Hashes/HashView.swift": BACK_REFERENCE,
    "Storage/Types/Lists/ListView.swift": BACK_REFERENCE,
    "Storage/Types/Sets/SetView.swift": BACK_REFERENCE,
    "Storage/Types/SortedSets/ZSetView.swift": BACK_REFERENCE,
    "Storage/Types/Streams/StreamEditor.swift": BACK_REFERENCE,
    "Storage/Files/FileSystem.swift": "passes pointers on to the file system, keeps none",
    "Storage/Log/LogWriter.swift": "@unchecked on Parcel only, which says who owns it",
}


def name(path):
    return path.relative_to(SOURCES).as_posix()


def code(path):
    """The lines without comments, numbered from 1. Strings stay."""
    in_comment = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if in_comment:
            in_comment = "*/" not in line
            continue
        if line.strip().startswith("/*"):
            in_comment = "*/" not in line
            continue
        yield number, re.sub(r"(?<!:)//.*", "", line)


def hits(path, pattern):
    return [f"{name(path)}:{number}: {line.strip()}" for number, line in code(path) if pattern.search(line)]


def strings(path):
    """The string literals with their lines, those of several lines too."""
    text = "\n".join(line for _, line in code(path))
    for found in re.finditer(r'"""(.*?)"""|"((?:[^"\\\n]|\\.)*)"', text, re.S):
        yield text.count("\n", 0, found.start()) + 1, found.group(1) or found.group(2) or ""


def imports(path):
    pattern = re.compile(
        r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:public\s+|internal\s+|package\s+)?import\s+(?:\w+\s+)?(\w+)"
    )
    return [found.group(1) for _, line in code(path) if (found := pattern.match(line))]


def test_there_are_sources():
    assert len(FILES) > 50
    assert {name(path).split("/")[0] for path in FILES} == set(IMPORTS)


def may_import(path):
    folder, alone = MAIN
    return alone if arrows.folder(path, SOURCES) == folder else IMPORTS[name(path).split("/")[0]]


def test_imports_go_one_way():
    wrong = [
        f"{name(path)} imports {module}" for path in FILES for module in imports(path) if module not in may_import(path)
    ]
    assert wrong == []


def is_upward(source, target):
    room = source.split("/")[0]
    if room not in ORDER or "/" not in source:
        return False
    order = ORDER[room]
    return order.index(source.split("/")[1]) > order.index(target.split("/")[1])


def test_folders_are_in_the_order():
    assert {folder for folder in map(lambda path: arrows.folder(path, SOURCES), FILES) if "/" in folder} == {
        f"{target}/{folder}" for target, folders in ORDER.items() for folder in folders
    }


def test_arrows_between_folders_go_down():
    assert {arrow: names for arrow, names in arrows.arrows(SOURCES).items() if is_upward(*arrow)} == {}


def test_a_library_has_one_place():
    wrong = [
        f"{name(path)} imports {module}"
        for path in FILES
        for module in imports(path)
        if module in IMPORTED_BY and not name(path).startswith(IMPORTED_BY[module])
    ]
    assert wrong == []


def test_c_shims_are_called_where_listed():
    users = {name(path) for path in FILES if "CShims" in imports(path)}
    assert {user for user in users if not user.startswith(CSHIMS_FOLDERS)} - CSHIMS_FILES == set()
    assert CSHIMS_FILES - users == set(), "listed, but not needed any more"


def test_sockets_are_the_networks():
    wrong = [hit for path in FILES if not name(path).startswith(SOCKET_PLACES) for hit in hits(path, SOCKET_CALL)]
    assert wrong == []


def file_calls(path):
    """Lines that ask the system about files, past Storage's FileSystem. Memory without a file is none of it."""
    declared = set(re.findall(r"\bfunc (\w+)", path.read_text()))
    for number, line in code(path):
        ambiguous = {first or second for first, second in FILE_CALL_OR_METHOD.findall(line)} - declared
        if "mmap(" in line and "MAP_ANONYMOUS" in line:
            ambiguous.discard("mmap")
        if FILE_CALL.search(line) or ambiguous:
            yield f"{name(path)}:{number}: {line.strip()}"


def test_files_are_behind_one_seam():
    storage = [path for path in FILES if name(path).startswith("Storage/") and name(path) not in REAL_FILES]
    assert [hit for path in storage for hit in file_calls(path)] == []


def test_the_seam_rule_catches_what_it_forbids(tmp_path, monkeypatch):
    monkeypatch.setattr("test_tidy.SOURCES", tmp_path)
    path = tmp_path / "Sample.swift"
    for line in [
        "unlink(path)",
        "let n = pwrite(d, p, 4, 0)",
        "if Glibc.rename(a, b) != 0 {",
        "fsync(file)",
        "read(fd, p, 4)",
        "let d = open(path, O_RDONLY)",
        "let map = mmap(nil, 4, PROT_READ, MAP_SHARED, file, 0)",
    ]:
        path.write_text(line + "\n")
        assert list(file_calls(path)), line
    for line in [
        "files.remove(path)",
        "try file.sync()",
        "func open(_ mode: Mode) {}\n        open(.read)",
        "base = mmap(nil, 4, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)",
    ]:
        path.write_text(line + "\n")
        assert list(file_calls(path)) == [], line


def test_storage_knows_no_commands_and_no_clients():
    """A comment may speak of them; code may not."""
    pattern = re.compile(r"\b(?:Router|ReadContext|WriteContext|CommandTable|EventLoop|Connection|Client|Session)\b")
    assert [hit for path in FILES if name(path).startswith("Storage/") for hit in hits(path, pattern)] == []


def test_no_sql_in_sources():
    wrong = [
        f"{name(path)}:{number}: {text.strip()[:80]}"
        for path in FILES
        for number, text in strings(path)
        if SQL.search(re.sub(r"\s+", " ", text))
    ]
    assert wrong == []


def test_sql_files_are_in_schema():
    skipped = {".build", ".git", ".venv"}
    found = [
        path.relative_to(ROOT) for path in ROOT.glob("*/**/*.sql") if not skipped & set(path.relative_to(ROOT).parts)
    ]
    assert found
    assert [str(path) for path in found if path.parts[:2] != ("schema", "sql")] == []


def test_files_are_short():
    lengths = {name(path): len(path.read_text().splitlines()) for path in [*FILES, *C_FILES]}
    assert {file: length for file, length in lengths.items() if length > MAX_LINES} == {}


def test_functions_are_short():
    """But for the tables of commands, which are lists."""
    found = [
        f"{name(path)}:{line}: {function} has {length} lines"
        for path in FILES
        for function, line, length in swift_source.functions(swift_source.masked(path.read_text()))
        if length > MAX_FUNCTION_LINES and not (function == "table" and name(path).startswith("Server/Commands/"))
    ]
    assert found == []


def names_a_case(pattern):
    """Whether a case's pattern is a member of an enum: `.list`, `let .at(x)`, `(.set, .intset)`, `Kind.list`; constants are
    `Self.limit`."""
    return re.match(r"\(?\s*(?:(?:let|var)\s+)?(?!Self\.)(?:[A-Z]\w*(?:\.[A-Z]\w*)*)?\.[a-z_]", pattern) is not None


def test_switches_over_enums_are_exhaustive():
    """A new type, encoding, kind of row or opcode is to make the compiler name each place that must know it."""
    found = [
        f"{name(path)}:{line}: a default beside {patterns[0]}"
        for path in FILES
        for line, patterns in swift_source.switches(swift_source.masked(path.read_text()))
        if any(map(names_a_case, patterns))
    ]
    assert found == []


def test_nothing_is_declared_for_nobody():
    """A name that occurs once is declared and not used. Tests may use what they are given."""
    used, in_tests = collections.Counter(), collections.Counter()
    for path in [*FILES, *sorted((ROOT / "schema").rglob("*.swift"))]:
        used.update(swift_source.WORD.findall(swift_source.masked(path.read_text(), strings=False)))
    for path in C_FILES:
        used.update(swift_source.WORD.findall(path.read_text()))
    for path in sorted((ROOT / "Tests").rglob("*.swift")):
        in_tests.update(swift_source.WORD.findall(swift_source.masked(path.read_text(), strings=False)))
    unused = {
        word: f"{name(path)}:{line}"
        for path in FILES
        for word, line in swift_source.declared(swift_source.masked(path.read_text()))
        if used[word] == 1 and not in_tests[word]
    }
    assert {word: place for word, place in unused.items() if word not in USED_UNNAMED} == {}
    assert set(USED_UNNAMED) - set(unused) == set(), "take it off the list"


@pytest.mark.parametrize("path", [p for p in FILES if any(UNSAFE.search(line) for _, line in code(p))], ids=name)
def test_unsafe_files_state_their_invariant(path):
    if name(path) in NO_INVARIANT_NEEDED:
        assert "Invariant of this file" not in path.read_text(), "take it off the list"
        if NO_INVARIANT_NEEDED[name(path)] == BACK_REFERENCE:
            assert [hit for hit in hits(path, UNSAFE) if "unowned(unsafe)" not in hit] == []
        return
    assert "Invariant of this file" in path.read_text(), hits(path, UNSAFE)[:3]


def test_exempt_files_exist():
    assert set(NO_INVARIANT_NEEDED) <= {name(path) for path in FILES}


def test_no_bytes_of_a_temporary():
    """`make().bytes` borrows from a buffer that nobody holds: give it a name first."""
    assert [hit for path in FILES for hit in hits(path, TEMPORARY_BYTES)] == []
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / "Tests").rglob("*.swift"))
        for number, line in code(path)
        if TEMPORARY_BYTES.search(NEVER_FREED.sub("", line))
    ]
    assert wrong == []


def test_no_two_flags_share_a_bit():
    """A merge can give two flags of an option set the same bit, and nothing else notices."""
    wrong = []
    for path in FILES:
        seen = set()
        for _, line in code(path):
            found = re.search(r"static let \w+ = (\w+)\(rawValue: (1 << \d+)\)", line)
            if found and found.groups() in seen:
                wrong.append(f"{name(path)}: {line.strip()}")
            elif found:
                seen.add(found.groups())
    assert wrong == []


def test_the_rules_of_syntax_catch_what_they_forbid():
    text = """
func f(_ a: Int = g(),
       b: String) throws -> Int
{
    switch a { // case .x: default:
    case 1: return 2
    default:
        switch kind {
        case .list where a > b[0]: return 3
        case let .set(x): return "}".count
        default: return 4
        }
    }
}
var x: Int { 3 }
enum E { case one(Int), two }
"""
    masked = swift_source.masked(text)
    assert len(masked) == len(text)
    assert list(swift_source.functions(masked)) == [("f", 2, 13), ("x", 15, 1)]
    outer, inner = sorted(swift_source.switches(masked))
    assert outer == (7, ["1"]) and inner[0] == 11 and all(map(names_a_case, inner[1])) and len(inner[1]) == 2
    assert (
        not names_a_case("1") and not names_a_case('"x"') and not names_a_case("EMFILE") and not names_a_case("0...5")
    )
    assert names_a_case("(.set, .intset)") and names_a_case("RDBFormat.Opcode.end") and names_a_case("let .at(time)")
    assert {word for word, _ in swift_source.declared(masked)} >= {"f", "x", "E", "one", "two"}


# Words of comments that say too little, or in riddles: deferred, prefetches, executed, whose.
RIDDLE = re.compile(
    r"//.*(?:\bput(?:s|ting)? off\b|\b[Ww]hom\b|\bat hand\b|\b[Bb]rings? \S+(?: \S+){0,3} near\b|\bthat (?:is|are) none\b|\blinger)"
    r"|^\s*///? *The same[ .,;]"
)


def test_comments_are_plain():
    wrong = [
        f"{name(path)}:{number}: {line.strip()}"
        for path in [*FILES, *C_FILES]
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if RIDDLE.search(line)
    ]
    assert wrong == []


def test_the_rules_catch_what_they_forbid():
    assert RIDDLE.search("/// Brings the key's bucket near.") and RIDDLE.search("    /// The same for a set.")
    assert RIDDLE.search("// Names that are none.") and not RIDDLE.search("/// Those at the same offset.")
    assert SQL.search("SELECT id FROM raw_strings") and SQL.search("PRAGMA page_size")
    assert not SQL.search("SELECT 0 selects a database")
    assert SOCKET_CALL.search("let fd = socket(AF_INET, 1, 0)") and SOCKET_CALL.search("epoll_wait(fd)")
    assert not SOCKET_CALL.search("bind(address)")
    for line in ("f(decoded(value).bytes)", "list.map { $0 }.bytes", "made?.bytes", "made!.bytes"):
        assert TEMPORARY_BYTES.search(line)
    assert not TEMPORARY_BYTES.search("let n = buffer.bytes.count + all[0].bytes.count")
    assert not TEMPORARY_BYTES.search(
        NEVER_FREED.sub("", 'push(Text("a\\(f(i))").bytes, base.command("GET", k).bytes)')
    )
    assert UNSAFE.search("unowned(unsafe) var x") and not UNSAFE.search("unowned let x")
