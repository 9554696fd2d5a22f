"""Small programs in Lua: commands of every kind called from scripts and functions, conversions of values, errors."""

import hashlib

from compare import Exec, exact
from differences import known

CALLS = ["redis.call", "redis.pcall"]
# What a command answers, as the script returns it.
PROGRAMS = [
    "return {call}(unpack(ARGV))",
    "local r = {call}(unpack(ARGV)) return r",
    "redis.setresp(3) return {call}(unpack(ARGV))",
    "redis.setresp(3) redis.setresp(2) return {call}(unpack(ARGV))",
    "local a = {{}} for i, v in ipairs(ARGV) do a[i] = v end return {call}(unpack(a))",
]
# What is seen of the reply in Lua.
LOOKS = [
    "local r = redis.pcall(unpack(ARGV)) return type(r)",
    "local r = redis.pcall(unpack(ARGV)) if type(r) == 'table' then return r.err or r.ok or #r end return tostring(r)",
    "redis.setresp(3) local r = redis.pcall(unpack(ARGV)) return type(r) == 'table' and "
    "(r.map and 'map' or r.set and 'set' or r.double and 'double' or r.err or r.ok or #r) or type(r)",
    "local ok, e = pcall(redis.call, unpack(ARGV)) return {ok and 1 or 0, type(e) == 'table' and e.err or type(e)}",
]
VALUES = [
    "nil", "true", "false", "0", "1", "-1", "3.99", "-3.99", "1e15", "2^53", "-2^53", "'text'", "''", "'a\\0b'", "'12'", "{}",
    "{ok='fine'}", "{err='CODE of an error'}", "{err='word'}", "{double=3.5}", "{double=1e100}", "{map={a=1}}", "{map={}}",
    "{set={a=true}}", "{big_number='123456789012345678901234567890'}", "{verbatim_string={format='txt',string='x'}}",
    "{1,2,3}", "{1,nil,3}", "{'a',{'b',{'c'}}}", "{false,true}", "{a=1}", "KEYS", "ARGV", "#ARGV", "tostring(ARGV[1])",
    "tonumber(ARGV[1])", "string.format('%d %5.2f %s', 7, 1/3, 'x')", "string.rep('ab', 5, ',')", "('x'):byte()",
    "string.find('hello', 'l+')", "string.gsub('hello', 'l', 'L')", "table.concat({1,2,3}, '-')", "select('#', 1, nil, 2)",
    "math.floor(-3.5)", "math.max(1, 7, 3)", "10 % 3", "-7 % 3", "7 / 2", "redis.sha1hex('x')", "redis.status_reply('S')",
    "redis.error_reply('CODE text')", "redis.error_reply('-CODE text')", "redis.error_reply('')", "redis.LOG_WARNING",
    "redis.REPL_ALL", "cjson.encode({1,2,{a=3}})", "cjson.encode('\\n\\226\\130\\172')", "cjson.decode('[1,2.5,\"x\",null]')[3]",
    "cjson.decode('{\"a\":{\"b\":[1]}}').a.b[1]", "cmsgpack.unpack(cmsgpack.pack({1,'a',false,2.5}))",
    "cmsgpack.pack(ARGV[1] or 0)", "cmsgpack.pack(-129, 2^40, 1.25, 'x')", "struct.pack('>I2hB', 1, -2, 3)",
    "{struct.unpack('<i4', struct.pack('<i4', -77))}", "bit.band(255, 0x0f)", "bit.tohex(-1)", "bit.lshift(1, 31)",
    "tostring(1e15)", "tostring(0.1)", "tostring(2^63)", "tostring(nil)", "1e300 * 1e10", "type(redis)", "unpack({1,2,3})",
    "pcall(error, 'x')", "pcall(error, {err='E x'})", "#'\\195\\169'", "('%q'):format('a\\nb')", "next({})",
]  # fmt: skip
ERRORS = [
    "error('plain')", "error({err='CODE table'})", "error({err='word'})", "error()", "error('level', 0)", "nosuch()",
    "return nosuch", "x = 1", "local t = nil return t.x", "return 1 + {}", "return #nil", "return redis.call()",
    "return redis.call({})", "return redis.call('no such command')", "return redis.call('GET')", "return redis.call(nil)",
    "redis.setresp(4)", "redis.setresp()", "redis.set_repl(9)", "redis.log(1)", "redis.log(10, 'x')", "syntax error here",
    "return redis.call('MULTI')", "return redis.call('SUBSCRIBE', 'x')", "return {redis.pcall('INCR')}", "redis.sha1hex()",
    "return redis.error_reply()", "return redis.status_reply({})", "return cjson.decode('[')", "cmsgpack.unpack('\\255')",
    "struct.pack('z')", "return string.rep('x', -1)", "local function f() return f() + 1 end return f()", "goto x",
    "return redis.call('SET', 'x')", "assert(false)", "assert(nil, 'why')", "assert(false, {err='E assert'})",
    "#!lua\nreturn 1", "#!lua flags=no-writes\nreturn redis.call('SET', 'x', '1')", "#!lua flags=what\nreturn 1", "#!js\n",
    "#!lua name=x\nreturn 1", "#!lua", "#!lua flags=no-writes\n return redis.pcall('GET', 'no such key')",
]  # fmt: skip
LIBRARY = """#!lua name=differential
local function run(call) return function(keys, args) return call(unpack(args)) end end
redis.register_function('run', run(redis.call))
redis.register_function('try', run(redis.pcall))
redis.register_function{function_name='look', callback=run(redis.pcall), flags={'no-writes'}}
"""


def inner(command, how):
    """Replies to a script compare as those of the command that it calls."""
    return lambda args, ours, oracles: how(command, ours, oracles) or known(command, ours, oracles)


class Scripts:
    """`command` draws a command and how its replies compare."""

    def __init__(self, words, command):
        self.words, self.command = words, command
        self.is_loaded = False

    def drawn(self):
        while True:
            args, how = self.command()
            # Not for scripts, there or here; SORT is compared elsewhere, with what it needs before.
            if str(args[0]).upper() not in ("DEBUG", "SORT", "SORT_RO"):
                return args, how

    def unit(self):
        chance = self.words.chance()
        if chance < 0.45:
            return self.one()
        if chance < 0.6:
            return self.several()
        if chance < 0.7:
            return self.function()
        if chance < 0.8:
            args, _ = self.drawn()
            return [([self.eval(), self.words.choice(LOOKS), 0, *args], exact)]
        if chance < 0.93:
            return self.value()
        return [([self.eval(), self.words.choice(ERRORS), 0], exact)]

    def eval(self):
        return "EVAL" if self.words.chance() < 0.9 else "EVAL_RO"

    def evalsha(self):
        return "EVALSHA" if self.words.chance() < 0.9 else "EVALSHA_RO"

    def one(self):
        w = self.words
        args, how = self.drawn()
        program = w.choice(PROGRAMS).format(call=w.choice(CALLS))
        if w.chance() < 0.3:
            sha = hashlib.sha1(program.encode()).hexdigest()
            return [(["SCRIPT", "LOAD", program], exact), ([self.evalsha(), sha, 0, *args], inner(args, how))]
        return [([self.eval(), program, 0, *args], inner(args, how))]

    def several(self):
        w = self.words
        drawn = [self.drawn() for _ in range(1 + w.below(4))]
        lines = ["local r = {}", "local i = 1"]
        words = []
        for number, (args, _) in enumerate(drawn):
            lines.append(f"r[{number + 1}] = redis.pcall(unpack(ARGV, i, i + {len(args) - 1})) i = i + {len(args)}")
            words += args
        lines.append("return r")
        return [(["EVAL", "\n".join(lines), 0, *words], Exec([(args, how) for args, how in drawn]))]

    def function(self):
        w = self.words
        unit = [] if self.is_loaded else [(["FUNCTION", "LOAD", "REPLACE", LIBRARY], exact)]
        self.is_loaded = True
        args, how = self.drawn()
        name = w.choice(["run", "try", "try", "look"])
        command = "FCALL_RO" if name == "look" and w.chance() < 0.5 else "FCALL"
        return [*unit, ([command, name, 0, *args], inner(args, how))]

    def value(self):
        w = self.words
        values = [w.choice(VALUES) for _ in range(1 + w.below(3))]
        body = f"return {values[0]}" if len(values) == 1 else "return {" + ", ".join(values) + "}"
        if w.chance() < 0.3:
            body = f"local t = {values[0]} if type(t) == 'table' then t[#t + 1] = 7 end return t"
        keys = ["k1", "k2"][: w.below(3)]
        return [(["EVAL", body, len(keys), *keys, w.choice(["12", "x", "1.5", ""])], exact)]
