"""What COMMAND says of each command, compared with redis-server's: INFO, DOCS, and the keys among a request's arguments.
Structure is an interface and equal, byte for byte; texts are Swiftlet's own."""

import itertools
import re

import pytest

from oracle import bulk, bulks

# Why something is not as the oracle has it: (command, what of it).
NEWER = "7.2 has WITHSCORE"
REDIS_8 = "Redis 8 has more options"
DIFFERENCES = {
    ("zrank", "arity"): NEWER,
    ("zrank", "arguments"): NEWER,
    ("zrank", "history"): NEWER,
    ("zrevrank", "arity"): NEWER,
    ("zrevrank", "arguments"): NEWER,
    ("zrevrank", "history"): NEWER,
} | {(name, what): REDIS_8 for name in ("set", "bitop", "xadd", "xtrim") for what in ("arguments", "history")}
DIFFERENCES |= {
    (name, what): "Redis 7.4 and Valkey 9 have more filters"
    for name in ("client|list", "client|kill")
    for what in ("arguments", "history")
}
DIFFERENCES["acl|log", "history"] = "7.2 shows more of an entry"

# --- Replies ---


def node(data, at=0):
    """The value that begins at `at`: bytes as they came, or (type, elements) with keys and values of maps in turn; and where
    it ends."""
    line_end = data.index(b"\r\n", at)
    kind, rest = data[at : at + 1], data[at + 1 : line_end]
    if kind == b"$" and rest != b"-1":
        end = line_end + 2 + int(rest) + 2
        return data[at:end], end
    end = line_end + 2
    if kind not in b"*~%":
        return data[at:end], end
    elements = []
    for _ in range(int(rest) * (2 if kind == b"%" else 1)):
        element, end = node(data, end)
        elements.append(element)
    return (kind, elements), end


def reply(connection, *args):
    data = connection.call(*args)
    found, end = node(data)
    assert end == len(data)
    return found


def fields(map_node):
    """The fields of a map, in their order, by name."""
    elements = map_node[1]
    return {bulk(name).decode(): value for name, value in zip(elements[::2], elements[1::2])}


def without(map_node, *texts):
    """A map whose values for `texts` are left out, as they are in nobody's interface."""
    kind, elements = map_node
    kept = [b"text" if i % 2 and bulk(elements[i - 1]).decode() in texts else e for i, e in enumerate(elements)]
    return kind, kept


INFO = ("name", "arity", "flags", "first", "last", "step", "categories", "tips", "key specs")


def infos(connection):
    """(name, what): value, of all commands and subcommands."""
    found = {}

    def add(entry):
        kind, values = entry
        name = bulk(values[0]).decode()
        for what, value in zip(INFO, values):
            found[name, what] = value
        kind_of_specs, specs = values[8]
        found[name, "key specs"] = kind_of_specs, [without(spec, "notes") for spec in specs]
        found[name, "form"] = kind, len(values), values[9][0]
        for subcommand in values[9][1]:
            add(subcommand)

    for entry in reply(connection, "COMMAND")[1]:
        add(entry)
    return found


def documents(connection):
    """(name, what): value, of all commands and subcommands; texts are left out."""
    found = {}

    def add(name, document):
        parts = fields(document)
        found[name, "fields"] = document[0], list(parts)
        for what, value in parts.items():
            if what in ("summary", "complexity"):
                assert bulk(value), (name, what)
            elif what == "history":
                found[name, what] = value[0], [(change[0], change[1][0]) for change in value[1]]
            elif what == "replaced_by":
                # What there is instead, without the words between.
                found[name, what] = re.findall(r"`!?([A-Z ]+)`", bulk(value).decode())
            elif what == "subcommands":
                found[name, what] = value[0]
                for subcommand, subdocument in fields(value).items():
                    add(subcommand, subdocument)
            else:
                found[name, what] = value

    for name, document in fields(reply(connection, "COMMAND", "DOCS")).items():
        add(name, document)
    return found


@pytest.mark.parametrize("ask", [infos, documents])
def test_commands_are_described_as_in_redis(protocols, ask):
    ours, oracles = ask(protocols.swiftlet), ask(protocols.oracle)
    common = {name for name, _ in ours} & {name for name, _ in oracles}
    assert len(common) > 300
    differing = {
        key: (ours.get(key), oracles.get(key))
        for key in ours.keys() | oracles.keys()
        if key[0] in common and ours.get(key) != oracles.get(key) and key[1] != "fields"
    }
    # A command that has something only here or only there, such as a history, differs in that, not in its fields too.
    differing |= {
        (name, "fields"): (ours[name, "fields"], oracles[name, "fields"])
        for name in common
        if ask is documents
        and ours[name, "fields"] != oracles[name, "fields"]
        and not any(differs[0] == name for differs in DIFFERENCES)
    }
    assert {key: values for key, values in differing.items() if key not in DIFFERENCES} == {}
    listed = {key for key in DIFFERENCES if (key[1] in INFO) == (ask is infos)}
    assert listed - differing.keys() == set(), "listed, but they do not differ any more"


@pytest.mark.parametrize("subcommand", ["INFO", "DOCS"])
def test_each_command_is_described_alone_as_among_all(swiftlet, subcommand):
    if subcommand == "INFO":
        all_of_them = {bulk(entry[1][0]).decode(): entry for entry in reply(swiftlet, "COMMAND")[1]}
    else:
        swiftlet.call("HELLO", 3)
        all_of_them = fields(reply(swiftlet, "COMMAND", "DOCS"))
    for name, expected in all_of_them.items():
        found = reply(swiftlet, "COMMAND", subcommand, name.upper())
        assert found[1] == (
            [expected] if subcommand == "INFO" else [b"$%d\r\n%s\r\n" % (len(name), name.encode()), expected]
        )
    swiftlet.call("HELLO", 2)


def test_summaries_are_sentences(swiftlet):
    swiftlet.call("HELLO", 3)

    def check(name, document):
        parts = fields(document)
        for text in [bulk(parts["summary"]).decode()] + [
            bulk(change[1][1]).decode() for change in parts.get("history", (b"", []))[1]
        ]:
            assert re.fullmatch(r"[A-Z][a-z]+s\b.*[^.]\.", text), (name, text)
        for subcommand, subdocument in fields(parts.get("subcommands", (b"%", []))).items():
            check(subcommand, subdocument)

    for name, document in fields(reply(swiftlet, "COMMAND", "DOCS")).items():
        check(name, document)
    swiftlet.call("HELLO", 2)


# --- Keys ---


def arguments_of(document):
    """What a request of a command looks like, from its COMMAND DOCS: nested dictionaries."""

    def argument(map_node):
        parts = fields(map_node)
        return {
            "name": bulk(parts["name"]).decode(),
            "type": bulk(parts["type"]).decode(),
            "token": bulk(parts["token"]).decode() if "token" in parts else None,
            "flags": {flag[1:-2].decode() for flag in parts.get("flags", (b"~", []))[1]},
            "arguments": [argument(inner) for inner in parts.get("arguments", (b"*", []))[1]],
        }

    return [argument(map_node) for map_node in fields(document).get("arguments", (b"*", []))[1]]


def request(arguments, choice, repeats, optional):
    """Words for arguments: the `choice`th of alternatives, what may be repeated `repeats` times, what is optional or not."""
    words = []
    for argument in arguments:
        if "optional" in argument["flags"] and not optional:
            continue
        times = repeats if "multiple" in argument["flags"] else 1
        for i in range(times):
            if argument["type"] == "pure-token":
                words.append(argument["token"])
                continue
            if argument["token"] is not None and (i == 0 or "multiple_token" in argument["flags"]):
                words.append(argument["token"])
            if argument["type"] == "oneof":
                alternatives = argument["arguments"]
                words += request([alternatives[choice % len(alternatives)]], choice, repeats, True)
            elif argument["type"] == "block":
                words += request(argument["arguments"], choice, repeats, optional)
            elif argument["name"] == "numkeys":
                words.append(str(repeats))
            else:
                words.append(f"{argument['name']}{len(words)}")
    return words


def requests(connection):
    """Example requests of every command, made of the arguments that it documents."""
    connection.call("HELLO", 3)
    documents = fields(reply(connection, "COMMAND", "DOCS"))
    connection.call("HELLO", 2)
    for name, document in documents.items():
        subcommands = fields(fields(document).get("subcommands", (b"%", [])))
        for full, part in {name: document, **subcommands}.items():
            arguments = arguments_of(part)
            for choice, repeats, optional in itertools.product(range(4), (1, 2, 3), (False, True)):
                yield tuple(full.split("|") + request(arguments, choice, repeats, optional))


def test_command_list_has_subcommands(both):
    ours, oracles = (set(bulks(server.call("COMMAND", "LIST"))) for server in (both.swiftlet, both.oracle))
    there = {name.split(b"|")[0] for name in ours}
    missing = {name for name in oracles - ours if name.split(b"|")[0] in there}
    # Of clusters, ACL rules and modules.
    assert {name.split(b"|")[0] for name in missing} <= {b"acl", b"cluster", b"module", b"latency", b"memory"}, missing
    assert b"xgroup|create" in ours and len(ours) > 300


def test_keys_are_found_in_requests_of_every_command(both):
    known = set(bulks(both.swiftlet.call("COMMAND", "LIST")))
    tried = sorted({words for words in requests(both.oracle) if words[0].encode() in known})
    assert len(tried) > 500
    calls = [("COMMAND", sub, *words) for words in tried for sub in ("GETKEYS", "GETKEYSANDFLAGS")]
    ours, oracles = both.swiftlet.pipeline(calls), both.oracle.pipeline(calls)
    # Subcommands that are not here.
    unknown = b"-ERR Invalid command specified\r\n"
    differing = {call: replies for call, *replies in zip(calls, ours, oracles) if replies[0] != replies[1] != unknown}
    assert {call: replies for call, replies in differing.items() if replies[0] != unknown} == {}
    assert {call[2] for call in differing} <= {"client", "function", "script"}


KEYS = """
PING x
GET a
GET a b
SET k
SET k v
SET k v GET
SET k v EX 10 GET
SET k v EX GET
ZUNION 0 a
ZUNION x a
ZUNION 5 a
ZUNION 2 a b
ZUNION -1 a
ZUNION 2147483649 a
ZUNION 4294967297 a
ZUNIONSTORE d 0 a
ZUNIONSTORE d 3 a b
ZUNIONSTORE d x b
ZUNIONSTORE d 1 b
ZDIFFSTORE d 1 a
SINTERCARD 2 a b
SINTERCARD 2 a
XREAD foo bar baz
XREAD STREAMS a b c
XREAD STREAMS a b c d
XREAD COUNT 1 STREAMS
XREAD COUNT 1 STREAMS a 0
XREAD COUNT streams streams a b
XREADGROUP GROUP g c STREAMS a >
XREADGROUP GROUP STREAMS STREAMS STREAMS a >
MIGRATE h p k 0 10
MIGRATE h p "" 0 10
MIGRATE h p "" 0 10 KEYS a b
MIGRATE h p "" 0 10 COPY KEYS a b
MIGRATE h p "" 0 10 AUTH KEYS KEYS a b
MIGRATE h p "" 0 10 AUTH x KEYS a b
MIGRATE h p "" 0 10 AUTH2 KEYS x KEYS a b
MIGRATE h p k 0 10 KEYS a b
MIGRATE h p "" 0 10 KEYS
MIGRATE h p "" 0 10 foo
SORT k
SORT k STORE d
SORT k STORE
SORT k BY STORE x GET y
SORT k GET STORE STORE d
SORT k STORE a STORE b
SORT k LIMIT STORE 1 STORE d
SORT_RO k BY a* GET b*
GEORADIUS k 1 2 3 m
GEORADIUS k 1 2 3 m STORE d
GEORADIUS k 1 2 3 m STOREDIST d
GEORADIUS k 1 2 3 m STORE d STOREDIST e
GEORADIUS k 1 2 3 m STOREDIST e STORE d
GEORADIUS k 1 2 3 m STORE d STORE e
GEORADIUS k 1 2 3 m STORE
GEORADIUS k 1 2 3 m COUNT STORE d
GEORADIUSBYMEMBER k m 3 m STORE d
GEORADIUSBYMEMBER k store 3 m STORE d
BITFIELD k
BITFIELD k GET u8 0
BITFIELD k GET u8 0 SET u8 0 1
BITFIELD k OVERFLOW WRAP GET u8 0
BITFIELD k OVERFLOW WRAP
BITFIELD k OVERFLOW
BITFIELD k foo
BITFIELD k GET u8
BITFIELD k INCRBY u8 0 1
MSET a b c
MSET a b c d
BLPOP a b 0
BLPOP a
LMPOP 2 a b LEFT
LMPOP 2 a LEFT
LMPOP 5 a LEFT
BLMPOP 0 2 a b LEFT
BZMPOP 0 1 a MIN
OBJECT ENCODING a
OBJECT HELP
OBJECT NOPE a
CLIENT KILL a
XGROUP CREATE a b c
MEMORY USAGE a
PFMERGE a
PFMERGE a b c
PFCOUNT a b
SINTERSTORE a
SINTERSTORE a b
BITOP AND a b c
WATCH a b
KEYS x
COMMAND GETKEYS GET a
DEBUG OBJECT a
NOPE a
"""


@pytest.mark.parametrize("line", KEYS.strip().splitlines())
def test_keys_are_found_as_in_redis(protocols, line):
    words = ["" if word == '""' else word for word in line.split()]
    protocols("COMMAND", "GETKEYS", *words)
    protocols("COMMAND", "GETKEYSANDFLAGS", *words)


@pytest.mark.parametrize("count", ["01", "1x"])
def test_counts_that_a_command_refuses_tell_where_keys_are(both, count):
    """Nothing is said of how such a command uses its keys."""
    both("COMMAND", "GETKEYS", "ZUNION", count, "a")
    both("COMMAND", "GETKEYSANDFLAGS", "ZUNION", count, "a")


# --- Help ---

CONTAINERS = (
    "acl client cluster command config debug function latency memory module object pubsub script slowlog xgroup xinfo"
)


@pytest.mark.parametrize("container", CONTAINERS.split())
def test_help_has_the_form_of_redis(both, container):
    ours, oracles = both.swiftlet.call(container, "HELP"), both.oracle.call(container, "HELP")
    if ours[:1] == b"-":
        assert ours == oracles
        return
    ours, oracles = (node(answer)[0][1] for answer in (ours, oracles))
    assert (ours[0], ours[-2:]) == (oracles[0], oracles[-2:])

    def usages(lines):
        return [line[1:-2].decode() for line in lines[1:-2] if line[1:2] != b" "]

    assert [line[1:5] == b"    " for line in ours[1:-2]] == [False, True] * ((len(ours) - 3) // 2)
    subcommands = reply(both.swiftlet, "COMMAND", "INFO", container)[1][0][1][9][1]
    names = [bulk(entry[1][0]).decode() for entry in subcommands]
    told = [usage.split()[0].lower() for usage in usages(ours)]
    if container != "debug":
        assert sorted(f"{container}|{name}" for name in told if name[0] != "(") == sorted(
            name for name in names if name != f"{container}|help"
        )
    # A usage is made of words, of values in angle brackets, of choices and of what may be left out.
    for usage in usages(ours):
        assert re.fullmatch(r"[A-Z(][A-Za-z-]+( subcommand\))?( [][()<>|A-Z0-9a-z._:/*$=~\"-]+)*", usage), usage
        assert [usage.count(bracket) for bracket in "[(<"] == [usage.count(bracket) for bracket in "])>"], usage
