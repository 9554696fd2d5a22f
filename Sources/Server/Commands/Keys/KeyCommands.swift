import Storage

/// Keys, whatever they hold.
enum KeyCommands {
    static var table: [Command] {
        CommandGroup.generic.rows([
            .write("del", -2, .frees, [.keys(.rmDelete)], "1.0.0", "key...", "Deletes keys.", del).complexity(
                "O(N) for N keys; large values are freed in the background"
            ).tips("request_policy:multi_shard response_policy:agg_sum"),
            .write(
                "unlink", -2, [.fast, .frees], [.keys(.rmDelete)], "4.0.0", "key...",
                "Deletes keys; their memory is freed in the background.", del
            ).complexity("O(N) for N keys").tips("request_policy:multi_shard response_policy:agg_sum"),
            .read(
                "exists", -2, .fast, [.keys(.ro)], "1.0.0", "key...", "Counts those of the given keys that exist.",
                exists
            ).complexity("O(N) for N keys").tips("request_policy:multi_shard response_policy:agg_sum").history(
                ("3.0.3", "Accepts several keys.")),
            .read(
                "touch", -2, .fast, [.keys(.ro)], "3.2.1", "key...", "Marks keys as used and counts those that exist.",
                touch
            ).complexity("O(N) for N keys").tips("request_policy:multi_shard response_policy:agg_sum"),
            .read("type", 2, .fast, [.key(.ro)], "1.0.0", "key", "Returns the type of the value at a key.", type),
            .write(
                "rename", 3, [], [.key(.rwAccessDelete), .key(.owUpdate, at: 2)], "1.0.0", "key newkey",
                "Renames a key, replacing the key that had the name.", rename),
            .write(
                "renamenx", 3, .fast, [.key(.rwAccessDelete), .key(.owInsert, at: 2)], "1.0.0", "key newkey",
                "Renames a key, unless another key has the name.", renamenx
            ).history(("3.2.0", "Allows both names to be equal.")),
            .write(
                "copy", -3, .denyoom, [.key(.roAccess), .key(.owUpdate, at: 2)], "6.2.0",
                "source destination [DB destination-db:i] [REPLACE]", "Copies a value and its expiry to another key.",
                copy
            ).complexity("O(N) for a value of N elements").databases(.after("db")),
            .write(
                "move", 3, .fast, [.key(.rwAccessUpdate)], "1.0.0", "key db:i", "Moves a key to another database.", move
            ).databases(.also(2)),
            .read("randomkey", 1, [], [], "1.0.0", "", "Returns a random key of the database.", randomkey).tips(
                "request_policy:all_shards nondeterministic_output"),
            .container("object", "2.2.3", "Inspects how the value at a key is stored.", [], ObjectCommands.table),
        ])
    }

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
