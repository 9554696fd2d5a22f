import Storage

/// Keys, whatever they hold.
enum KeyCommands {
    static let table: [Command] = [
        Command(
            "del", arity: -2, flags: [.frees], keys: .range(1, -1, 1), group: .generic, since: "1.0.0",
            complexity: "O(N) for N keys; large values are freed in the background", summary: "Deletes keys.",
            .write(del)),
        Command(
            "unlink", arity: -2, flags: [.frees, .fast], keys: .range(1, -1, 1), group: .generic, since: "4.0.0",
            complexity: "O(N) for N keys", summary: "Deletes keys, as DEL.", .write(del)),
        Command(
            "exists", arity: -2, flags: [.fast], keys: .range(1, -1, 1), group: .generic, since: "1.0.0",
            complexity: "O(N) for N keys", summary: "How many of these keys there are.", .read(exists)),
        Command(
            "touch", arity: -2, flags: [.fast], keys: .range(1, -1, 1), group: .generic, since: "3.2.1",
            complexity: "O(N) for N keys", summary: "Notes that keys were used, and answers how many there are.",
            .read(touch)),
        Command(
            "type", arity: 2, flags: [.fast], group: .generic, since: "1.0.0", complexity: "O(1)",
            summary: "The type of what a key holds.", .read(type)),
        Command(
            "rename", arity: 3, keys: .range(1, 2, 1), group: .generic, since: "1.0.0",
            complexity: "O(1)", summary: "Gives a key another name, overwriting what had it.", .write(rename)),
        Command(
            "renamenx", arity: 3, flags: [.fast], keys: .range(1, 2, 1), group: .generic, since: "1.0.0",
            complexity: "O(1)", summary: "Gives a key another name, if nothing has it.", .write(renamenx)),
        Command(
            "copy", arity: -3, flags: [.denyoom], keys: .range(1, 2, 1), group: .generic, since: "6.2.0",
            complexity: "O(N) for a value of N elements", summary: "Copies a value and its expiry to another key.",
            .write(copy)),
        Command(
            "move", arity: 3, flags: [.fast], group: .generic, since: "1.0.0", complexity: "O(1)",
            summary: "Moves a key to another database.", .write(move)),
        Command(
            "randomkey", arity: 1, keys: .none, group: .generic, since: "1.0.0",
            complexity: "O(1)", summary: "Answers some key of the database.", .read(randomkey)),
        Command(
            "object", arity: -2, keys: .none, group: .generic, since: "2.2.3",
            complexity: "Depends on the subcommand.", summary: "Looks at how a value is kept.",
            subcommands: ObjectCommands.table),
    ]

    // MARK: - Handlers

    private static func del(_ c: WriteContext) throws(CommandError) {
        var count: Int64 = 0
        for i in 1..<c.args.count where c.remove(c.args[i]) { count += 1 }
        c.reply.integer(count)
    }

    private static func exists(_ c: ReadContext) throws(CommandError) {
        var count: Int64 = 0
        for i in 1..<c.args.count where c.db.peek(c.args[i]) != nil { count += 1 }
        c.reply.integer(count)
    }

    private static func touch(_ c: ReadContext) throws(CommandError) {
        var count: Int64 = 0
        for i in 1..<c.args.count where c.db.find(c.args[i]) != nil { count += 1 }
        c.reply.integer(count)
    }

    private static func type(_ c: ReadContext) throws(CommandError) {
        c.reply.simple(c.db.peek(c.args[1])?.type.name ?? "none")
    }

    private static func rename(_ c: WriteContext) throws(CommandError) {
        if c.db.find(c.args[1]) == nil { throw .noSuchKey }
        if c.args[1] != c.args[2] { move(c, c.args[1], to: c.args[2]) }
        c.reply.ok()
    }
    /// To another name, which had another key or none.
    private static func move(_ c: WriteContext, _ old: Bytes, to new: Bytes) {
        c.db.rename(old, to: new)
        c.changed(old, .generic, "rename_from")
        c.changed(new, .generic, "rename_to")
        c.count(as: 1)
    }

    private static func renamenx(_ c: WriteContext) throws(CommandError) {
        if c.db.find(c.args[1]) == nil { throw .noSuchKey }
        if c.db.find(c.args[2]) != nil { return c.reply.integer(0) }
        move(c, c.args[1], to: c.args[2])
        c.reply.integer(1)
    }

    private static func copy(_ c: WriteContext) throws(CommandError) {
        var target = c.db
        var replaces = false
        var i = 3
        while i < c.args.count {
            if c.args[i].equals(ignoringCase: "replace") {
                replaces = true
            } else if c.args[i].equals(ignoringCase: "db"), i + 1 < c.args.count {
                i += 1
                target = try database(c, i)
            } else {
                throw .syntax
            }
            i += 1
        }
        if target === c.db && c.args[1] == c.args[2] { throw .sameObject }
        if c.reading.find(c.args[1]) == nil || !replaces && target.find(c.args[2]) != nil { return c.reply.integer(0) }
        c.db.copy(c.args[1], to: target, as: c.args[2])
        c.changed(c.args[2], in: target, .generic, "copy_to")
        c.count(as: 1)
        c.reply.integer(1)
    }

    private static func move(_ c: WriteContext) throws(CommandError) {
        let target = try database(c, 2)
        if target === c.db { throw .sameObject }
        let isMoved = c.db.move(c.args[1], to: target)
        if isMoved {
            c.changed(c.args[1], .generic, "move_from")
            c.changed(c.args[1], in: target, .generic, "move_to")
            c.count(as: 1)
        }
        c.reply.integer(isMoved ? 1 : 0)
    }

    /// The database that an argument gives the number of.
    private static func database(_ c: WriteContext, _ index: Int) throws(CommandError) -> Database {
        let number = try c.args.integer(index, in: Int64(Int32.min)...Int64(Int32.max))
        guard let database = c.database(number) else { throw .databaseOutOfRange }
        return database
    }

    private static func randomkey(_ c: ReadContext) throws(CommandError) {
        if let entry = c.db.randomKey() { c.reply.bulk(entry.key) } else { c.reply.null() }
    }
}
