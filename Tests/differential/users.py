"""The differential test of permissions: random users, rules and commands to Swiftlet and to redis-server 7.0.15. Who may do
what must be the same, and so must the words of what is refused, what ACL LIST, GETUSER and LOG say, and what is stored.

Each reply that is compared is a check. The seed is printed; with it the same requests come again.
"""

import argparse
import pathlib
import random
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Support"))

from oracle import start_redis, start_swiftlet
from resp import bulks, decoded
from seed import chosen_seed

USERS = ["ann", "bob", "cat", "default"]
PASSWORDS = ["one", "two", ""]
KEYS = ["a", "b", "ab", "abc", "ba", "x:1", "x:2", "y:1", "{t}a", "*", "a*"]
PATTERNS = ["a", "b", "a*", "*b", "x:*", "?:1", "[ab]", "[^a]*", "*", "{t}*", "a\\*", ""]
CHANNELS = ["news", "news:a", "new*", "chat", "*", "n?ws"]
# What COMMAND's keys and channels are found by, and numbers that say how many there are.
WORDS = """
    0 1 2 3 -1 00 1x STORE store BY GET get LIMIT STREAMS COUNT AUTH AUTH2 KEYS STOREDIST WITHDIST NX XX EX PX KEEPTTL
    REPLACE COPY DB BLOCK GROUP NOACK AGGREGATE WEIGHTS SUM LEFT RIGHT BEFORE INCRBY SET OVERFLOW u4 ID ALPHA DESC ASYNC
    127.0.0.1 6379 $ > (1 [a -inf +inf foo bar MATCH FROMMEMBER BYRADIUS km
""".split()  # fmt: skip

# Errors that Redis 7.2 words differently, as 7.0 has them.
REWORDED = [
    (re.compile(rb"NOPERM User \S* has no"), b"NOPERM this user has no"),
    (
        re.compile(rb"NOPERM No permissions to access a (key|channel)"),
        rb"NOPERM this user has no permissions to access one of the \1s used as arguments",
    ),
    (re.compile(rb"^User \S* has no permissions"), b"This user has no permissions"),
    (
        re.compile(rb"ACL failure in script: User \S* has no permissions to run the '[^']*' command"),
        b"The user executing the script can't run this command or subcommand",
    ),
    (
        re.compile(rb"ACL failure in script: No permissions to access a key"),
        b"The user executing the script can't access at least one of the keys mentioned in the command arguments",
    ),
    (
        re.compile(rb"ACL failure in script: No permissions to access a channel"),
        b"The user executing the script can't publish to the channel mentioned in the command",
    ),
]


class Difference(Exception):
    pass


def plain(value):
    """A reply with 7.0's words."""
    if isinstance(value, (list, tuple)):
        return [plain(element) for element in value]
    if isinstance(value, dict):
        return {plain(key): plain(element) for key, element in value.items()}
    if isinstance(value, bytes):
        for pattern, words in REWORDED:
            value = pattern.sub(words, value)
    return value


class Pair:
    """A connection to each server."""

    def __init__(self, test, name):
        self.test, self.name = test, name
        self.open()

    def open(self):
        self.ours, self.oracles = (server.connect() for server in self.test.servers)

    def pipeline(self, requests, queued=""):
        """Sends the requests to both and compares their replies; returns the oracle's. `queued`: what EXEC will execute."""
        replies = []
        for connection in (self.ours, self.oracles):
            try:
                replies.append([decoded(reply) for reply in connection.pipeline(requests)])
            except ConnectionError:
                replies.append(None)
        ours, oracles = replies
        if ours is None or oracles is None:
            if ours is not oracles:
                raise Difference(f"{self.name}: {'we' if ours is None else 'the oracle'} closed the connection")
            self.open()
            return None
        for request, got, expected in zip(requests, ours, oracles):
            self.test.checks += 1
            if plain(got) != plain(expected):
                raise Difference(f"{self.name}: {request} {queued}\n  ours    {got}\n  oracle  {expected}")
        return oracles

    def both(self, *request):
        """The replies of both, not compared."""
        return [decoded(connection.call(*request)) for connection in (self.ours, self.oracles)]


class Rules:
    """Random rules of users."""

    def __init__(self, chance, commands, categories):
        self.chance, self.commands, self.categories = chance, commands, categories
        self.first = [name for name in commands if "|" not in name]

    def command(self):
        chance, name = self.chance, self.chance.choice(self.commands)
        sign = chance.choice("++-")
        draw = chance.random()
        if draw < 0.35:
            return sign + "@" + chance.choice(self.categories + ["all", "nosuch"])
        if draw < 0.45:
            return sign + chance.choice(
                ["select|0", "get|a", "set|b", "config|nosuch", "object|", "config|get|x", "nosuch"]
            )
        return sign + (name.upper() if chance.random() < 0.1 else name)

    def key(self):
        right = self.chance.choice(["~"] * 6 + ["%R~"] * 3 + ["%W~"] * 3 + ["%RW~", "%wr~", "%r~", "%~", "%RR~", "%x~"])
        return right + self.chance.choice(PATTERNS)

    def of_selector(self):
        draw = self.chance.random()
        if draw < 0.5:
            return self.command()
        if draw < 0.75:
            return self.key()
        if draw < 0.85:
            return "&" + self.chance.choice(CHANNELS)
        return self.chance.choice(
            [
                "allkeys",
                "resetkeys",
                "allchannels",
                "resetchannels",
                "allcommands",
                "nocommands",
                "AllKeys",
                "bogus",
                "",
            ]
        )

    def rule(self):
        draw = self.chance.random()
        if draw < 0.75:
            return self.of_selector()
        if draw < 0.9:
            return "(" + " ".join(self.of_selector() for _ in range(self.chance.randrange(4))) + ")"
        words = ["on", "on", "on", "off", "nopass", "resetpass", "reset", "clearselectors", "sanitize-payload", "(+get"]
        words += [sign + word for sign in "><" for word in PASSWORDS] + ["#12", "!" + "0" * 64, "#" + "0a" * 32]
        return self.chance.choice(words)

    def rules(self):
        rules = [self.rule() for _ in range(self.chance.randint(1, 5))]
        # What a selector takes in that nothing closes, 7.0 tells otherwise.
        return [rule for rule in rules if rule != "(+get" or not any(word[-1:] == ")" for word in rules)]


class Requests:
    """Random commands of users."""

    def __init__(self, chance, commands, arities):
        self.chance, self.commands, self.arities = chance, commands, arities

    def word(self):
        draw = self.chance.random()
        return self.chance.choice(KEYS if draw < 0.6 else CHANNELS if draw < 0.7 else WORDS)

    def any(self, fits=False):
        """Any command with any words: for what is only asked, not executed. `fits`: as many words as it needs."""
        name = self.chance.choice(self.commands)
        words, arity = name.split("|"), self.arities[name]
        least = abs(arity) - len(words)
        count = least if arity > 0 else least + self.chance.choice([0, 0, 1, 1, 2, 3, 5, 8])
        if not fits and self.chance.random() < 0.02:
            count = self.chance.randrange(4)
        return words + [self.word() for _ in range(max(0, count))]

    def executed(self):
        """A command that may be executed: it neither waits nor changes the server."""
        key, other, channel = self.chance.choice(KEYS), self.chance.choice(KEYS), self.chance.choice(CHANNELS)
        return self.chance.choice(
            [
                ["GET", key], ["SET", key, other], ["SET", key, other, "GET"], ["DEL", key, other], ["EXISTS", key, other],
                ["TYPE", key], ["MGET", key, other], ["MSET", key, "1", other, "2"], ["APPEND", key, "x"], ["STRLEN", key],
                ["LPUSH", key, "1", "2"], ["LRANGE", key, "0", "-1"], ["LLEN", key], ["LMOVE", key, other, "LEFT", "LEFT"],
                ["SADD", key, "1"], ["SINTERCARD", "2", key, other], ["SUNIONSTORE", key, other], ["HSET", key, "f", "1"],
                ["HGETALL", key], ["ZADD", key, "1", "m"], ["ZRANGESTORE", key, other, "0", "-1"], ["COPY", key, other],
                ["RENAME", key, other], ["SORT", key], ["SORT", key, "BY", "x*", "GET", "#"], ["SORT", key, "GET", "a*"],
                ["SORT", key, "BY", "nosort", "STORE", other], ["BITFIELD", key, "GET", "u4", "0"],
                ["BITFIELD", key, "SET", "u4", "0", "1"], ["TOUCH", key, other], ["OBJECT", "FREQ", key],
                ["PUBLISH", channel, "m"], ["SPUBLISH", channel, "m"], ["PUBSUB", "NUMSUB", channel], ["PING"],
                ["ECHO", key], ["SELECT", "0"], ["ACL", "WHOAMI"], ["CLIENT", "GETNAME"], ["COMMAND", "COUNT", "x"],
                ["WATCH", key], ["UNWATCH"], ["NOSUCH", key], ["GET"], ["CONFIG", "NOSUCH"], ["AUTH", "ann", "wrong"],
                ["EVAL", "return redis.call(unpack(ARGV))", "1", key, *self.inner()],
                ["EVAL", "return redis.pcall(unpack(ARGV))", "0", *self.inner()],
                ["EVAL", "return redis.acl_check_cmd(unpack(ARGV))", "0", *self.any(fits=True)],
                ["XADD", key, "1-1", "f", "v"], ["XREAD", "STREAMS", key, "0"], ["GETEX", key], ["GETDEL", key],
                ["PFADD", key, "x"], ["PFCOUNT", key, other], ["GEOADD", key, "1", "1", "m"], ["EXPIRE", key, "1000"],
                ["LCS", key, other], ["SINTER", key, other], ["BLPOP", key, other, "0.001"], ["MEMORY", "USAGE", "nokey"],
            ]
        )  # fmt: skip

    def inner(self):
        key, other = self.chance.choice(KEYS), self.chance.choice(KEYS)
        return self.chance.choice(
            [
                ["GET", key], ["SET", key, "1"], ["MGET", key, other], ["PUBLISH", self.chance.choice(CHANNELS), "m"],
                ["SORT", key, "GET", "a*"], ["COPY", key, other], ["ACL", "WHOAMI"], ["NOSUCH"], ["DEL", key], ["TYPE", key],
            ]
        )  # fmt: skip


class Test:
    """Both servers, the users' connections, and what goes to them."""

    def __init__(self, seed):
        self.chance = random.Random(f"{seed} of the users")
        self.servers = [start_swiftlet("--acllog-max-len", "40"), start_redis("--acllog-max-len", "40")]
        self.checks = 0
        self.superuser = ["SETUSER", "root", "on", ">root", "~*", "&*", "+@all"]
        self.admin = Pair(self, "root")
        self.admin.pipeline([["ACL", *self.superuser], ["AUTH", "root", "root"]])
        described = self.described()
        commands = sorted(described)
        categories = [name.decode() for name in bulks(self.admin.oracles.call("ACL", "CAT"))]
        self.rules = Rules(self.chance, commands, categories)
        self.requests = Requests(self.chance, commands, described)
        self.users = {name: Pair(self, name) for name in USERS}

    def described(self):
        """The commands that both have, with their arities."""
        found = []
        for connection in (self.admin.ours, self.admin.oracles):
            arities = {}
            for entry in decoded(connection.call("COMMAND")):
                for row in [entry, *entry[9]]:
                    arities[row[0].decode()] = row[1]
            found.append(arities)
        ours, oracles = found
        return {name: arity for name, arity in oracles.items() if ours.get(name) == arity}

    def stop(self):
        for server in self.servers:
            server.stop()

    # Steps

    def change(self):
        """Rules for a user, several times."""
        names = [self.chance.choice(USERS) for _ in range(4)]
        requests = [["ACL", "SETUSER", name, *self.rules.rules()] for name in names]
        if self.chance.random() < 0.3:
            # So that some may do much.
            generous = ["on", "nopass", "allcommands", self.rules.key(), "&" + self.chance.choice(CHANNELS)]
            requests.append(["ACL", "SETUSER", self.chance.choice(USERS), *generous])
        self.admin.pipeline(requests)

    def ask(self, count):
        """What users may do, without doing it."""
        self.admin.pipeline([["ACL", "DRYRUN", self.chance.choice(USERS), *self.requests.any()] for _ in range(count)])

    def act(self, name, count):
        """What a user does, with transactions between which its rules change."""
        user = self.users[name]
        password = self.chance.choice(PASSWORDS)
        _, _, reply = user.pipeline([["RESET"], ["AUTH", name, password], ["ACL", "WHOAMI"]])
        if reply.startswith(b"-NOAUTH"):
            # Its output is limited, otherwise in either server.
            return
        # EXEC answers null where a watched key was lost, which 7.0 does not.
        changes = self.chance.random() < 0.5
        requests = [self.requests.executed() for _ in range(count)]
        user.pipeline([request for request in requests if not (changes and request[0] == "WATCH")])
        queued = [self.queued() for _ in range(3)]
        user.pipeline([["MULTI"], *queued])
        if changes:
            self.change()
        user.pipeline([["EXEC"], ["DISCARD"]], queued)

    def queued(self):
        while True:
            request = self.requests.executed()
            if request[0] not in ("BLPOP", "WATCH"):
                return request

    def compare(self):
        """What the servers say about users."""
        for name in USERS + ["nobody"]:
            ours, oracles = self.admin.both("ACL", "GETUSER", name)
            self.expect(name, self.without_commands(ours), self.without_commands(oracles))
            if not ours:
                continue
            # Our rules make the same user there: 7.0 shows commands in another form, out of what is allowed.
            commands, *selectors = self.commands(ours)
            rules = [*commands.split(), *(b"(%s)" % text for text in selectors)]
            reply = decoded(self.admin.oracles.call("ACL", "SETUSER", "probe", "reset", *rules))
            self.expect(f"our rules of {name}, {rules}", reply, b"+OK")
            probe = decoded(self.admin.oracles.call("ACL", "GETUSER", "probe"))
            self.expect(f"{name}, {rules}", self.commands(probe), self.commands(oracles))
        ours, oracles = (self.lines(reply) for reply in self.admin.both("ACL", "LIST"))
        self.expect("ACL LIST", ours, oracles)
        self.admin.oracles.call("ACL", "DELUSER", "probe")
        ours, oracles = (self.entries(reply) for reply in self.admin.both("ACL", "LOG", "100"))
        self.expect("ACL LOG", ours, oracles)
        self.admin.pipeline([["ACL", "USERS"], ["DBSIZE"], ["DEBUG", "DIGEST"], ["ACL", "LOG", "RESET"], ["FLUSHALL"]])

    def expect(self, what, ours, oracles):
        self.checks += 1
        if ours != oracles:
            raise Difference(f"{what}\n  ours    {ours}\n  oracle  {oracles}")

    @staticmethod
    def lines(reply):
        """Without commands, and without a flag that 7.0 shows for some users alone."""
        return [
            [word for word in re.split(rb"[ ()]+", line) if word[:1] not in b"+-" and word != b"sanitize-payload"]
            for line in reply
            if not line.startswith(b"user probe ")
        ]

    def commands(self, reply):
        """Of a user, and of its selectors."""
        fields = dict(zip(reply[::2], reply[1::2]))
        return [fields[b"commands"]] + [
            text for selector in fields.get(b"selectors", []) for text in self.commands(selector)
        ]

    def without_commands(self, reply):
        if not isinstance(reply, list):
            return reply
        fields = dict(zip(reply[::2], reply[1::2]))
        fields.pop(b"commands")
        if b"flags" in fields:
            fields[b"flags"] = [flag for flag in fields[b"flags"] if flag != b"sanitize-payload"]
        fields[b"selectors"] = [self.without_commands(selector) for selector in fields.get(b"selectors", [])]
        return fields

    @staticmethod
    def entries(reply):
        wanted = (b"count", b"reason", b"context", b"object", b"username")
        found = []
        for entry in reply:
            fields = dict(zip(entry[::2], entry[1::2]))
            client = dict(word.split(b"=", 1) for word in fields[b"client-info"].split())
            found.append([fields[name] for name in wanted] + [client[b"cmd"], client[b"user"]])
        return found

    def run(self, checks):
        while self.checks < checks:
            for _ in range(3):
                self.change()
                self.ask(60)
                self.act(self.chance.choice(USERS), 25)
            self.compare()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = chosen_seed() if options.seed is None else options.seed
    print(f"SWIFTLET_SEED={seed}", flush=True)
    test = Test(seed)
    began = time.monotonic()
    try:
        test.run(options.checks)
    except Difference as difference:
        print(f"after {test.checks} checks: {difference}")
        return 1
    finally:
        test.stop()
    print(f"{test.checks} checks, no difference, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
