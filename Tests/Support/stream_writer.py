"""Random commands on streams."""

import random


class Writer:
    """Random stream commands. Ids are small and given, so that both servers have the same."""

    def __init__(self, seed, exact=False):
        self.random = random.Random(seed)
        self.ms = {}
        # Nothing that depends on how entries are spread over nodes, which a restart from a snapshot may change.
        self.exact = exact

    def id(self):
        return self.random.choice(
            [
                "-",
                "+",
                "0",
                f"{self.random.randrange(400)}-{self.random.randrange(3)}",
                f"({self.random.randrange(400)}",
                str(self.random.randrange(500)),
            ]
        )

    def plain(self):
        return f"{self.random.randrange(400)}-{self.random.randrange(3)}"

    def command(self):
        command = self.any_command()
        if self.exact and command[:2] == ["XINFO", "STREAM"]:
            return ["XLEN", command[2]]
        if self.exact and "~" in command:
            command[command.index("~")] = "="
            return command[: command.index("LIMIT")] if "LIMIT" in command else command
        return command

    def any_command(self):
        r = self.random
        key = r.choice(["s", "t", "u"])
        group = r.choice(["g", "h", "group"])
        consumer = r.choice(["a", "b", "consumer"])
        choice = r.randrange(100)
        if choice < 40:
            self.ms[key] = self.ms.get(key, 0) + r.choice([0, 1, 1, 2])
            id = r.choice([f"{self.ms[key]}-*", f"{self.ms[key]}-{r.randrange(4)}", f"{self.ms[key]}-*"])
            fields = r.choice(
                [
                    ["f", r.randrange(1000)],
                    ["f", "v" * r.randrange(80)],
                    ["f", 1, "g", -70000],
                    [b"\xff\x00", b"\x00"],
                    ["f", "v", "f", "w"],
                    ["", ""],
                ]
            )
            trim = r.choice(
                [[]] * 12
                + [
                    ["MAXLEN", "~", r.randrange(200)],
                    ["MAXLEN", r.randrange(300)],
                    ["MINID", "~", r.randrange(self.ms[key] + 1)],
                    ["MINID", "=", self.ms[key] // 3],
                ]
            )
            return ["XADD", key, *trim, id, *fields]
        if choice < 46:
            return ["XDEL", key, *[self.plain() for _ in range(r.randrange(1, 4))]]
        if choice < 49:
            return [
                "XTRIM",
                key,
                *r.choice(
                    [
                        ["MAXLEN", "~", r.randrange(200)],
                        ["MAXLEN", r.randrange(300)],
                        ["MINID", "~", r.randrange(100)],
                        ["MINID", self.plain()],
                        ["MAXLEN", "~", 0, "LIMIT", r.randrange(300)],
                    ]
                ),
            ]
        if choice < 54:
            return [
                r.choice(["XRANGE", "XREVRANGE"]),
                key,
                self.id(),
                self.id(),
                *r.choice([[], ["COUNT", r.randrange(20)]]),
            ]
        if choice < 57:
            return ["XREAD", "COUNT", r.randrange(4), "STREAMS", "s", "t", self.plain(), r.choice(["$", "0"])]
        if choice < 72:
            return [
                "XREADGROUP",
                "GROUP",
                group,
                consumer,
                "COUNT",
                r.randrange(1, 9),
                *r.choice([[], [], ["NOACK"]]),
                "STREAMS",
                key,
                r.choice([">", ">", ">", ">", self.plain(), "0"]),
            ]
        if choice < 78:
            return ["XACK", key, group, *[self.plain() for _ in range(r.randrange(1, 4))]]
        if choice < 82:
            return [
                "XCLAIM",
                key,
                group,
                consumer,
                0,
                *[self.plain() for _ in range(r.randrange(1, 6))],
                *r.choice(
                    [
                        [],
                        ["FORCE"],
                        ["JUSTID"],
                        ["RETRYCOUNT", r.randrange(5)],
                        ["LASTID", self.plain()],
                        ["FORCE", "TIME", 1_000_000_000_000, "JUSTID"],
                    ]
                ),
            ]
        if choice < 86:
            return [
                "XAUTOCLAIM",
                key,
                group,
                consumer,
                0,
                self.plain(),
                "COUNT",
                r.randrange(1, 6),
                *r.choice([[], ["JUSTID"]]),
            ]
        if choice < 88:
            return ["XPENDING", key, group]
        if choice < 90:
            return [
                "XGROUP",
                "SETID",
                key,
                group,
                r.choice(["$", "0", self.plain()]),
                *r.choice([[], ["ENTRIESREAD", r.randrange(50)]]),
            ]
        if choice < 91:
            return ["XGROUP", r.choice(["DESTROY", "CREATE"]), key, group, *r.choice([[], ["0"], ["$", "MKSTREAM"]])]
        if choice < 92:
            return ["XGROUP", "DELCONSUMER", key, group, consumer]
        if choice < 93:
            # Above what may have been deleted: below it, 7.2 refuses and the oracle does not.
            return [
                "XSETID",
                key,
                f"{r.randrange(600, 2000)}-1",
                *r.choice([[], ["ENTRIESADDED", r.randrange(2000)], ["MAXDELETEDID", self.plain()]]),
            ]
        if choice < 94:
            return r.choice([["COPY", key, "u", "REPLACE"], ["RENAME", key, "t"], ["DEL", key], ["COPY", "s", "t"]])
        return r.choice(
            [
                ["XINFO", "STREAM", key],
                ["XINFO", "GROUPS", key],
                ["XINFO", "STREAM", key, "FULL"],
                ["XINFO", "CONSUMERS", key, group],
                ["XLEN", key],
            ]
        )


# Consumers that Redis 7.2 makes and 7.0 does not are made first, in both.
MAKES_CONSUMER = {
    "XREADGROUP": lambda c: (c[c.index("STREAMS") + 1], c[2], c[3]),
    "XCLAIM": lambda c: c[1:4],
    "XAUTOCLAIM": lambda c: c[1:4],
}
