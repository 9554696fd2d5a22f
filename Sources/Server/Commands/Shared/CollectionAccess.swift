import Storage

/// Typed look-ups that answer WRONGTYPE, and arguments that several commands on collections read alike.
extension ReadDatabase {
    func hashOrRefuse(_ key: Bytes) throws(CommandError) -> HashView? {
        do { return try hash(key) } catch { throw .wrongType }
    }
    func setOrRefuse(_ key: Bytes) throws(CommandError) -> SetView? {
        do { return try set(key) } catch { throw .wrongType }
    }
    func zsetOrRefuse(_ key: Bytes) throws(CommandError) -> ZSetView? {
        do { return try zset(key) } catch { throw .wrongType }
    }
}

extension ReadContext {
    func hash(_ key: Bytes) throws(CommandError) -> HashView? { try db.hashOrRefuse(key) }
    func set(_ key: Bytes) throws(CommandError) -> SetView? { try db.setOrRefuse(key) }

    /// The hash; those of these arguments that are fields whose time has come are removed first.
    func hash(_ key: Bytes, fields: Range<Int>) throws(CommandError) -> HashView? {
        let hash = try hash(key)
        guard let hash, hash.hasDueFields else { return hash }
        for i in fields { db.expireIfDue(args[i], of: key) }
        return db.hashAgain(key)
    }
    func zset(_ key: Bytes) throws(CommandError) -> ZSetView? { try db.zsetOrRefuse(key) }
}

extension WriteContext {
    /// The database as read handlers see it: for keys that the command only reads, whose hits and misses count.
    var reading: ReadDatabase { ReadDatabase(session, countsLookups: true) }
    /// The database as read handlers see it, for keys that the command is going to write.
    var unchanged: ReadDatabase { ReadDatabase(session) }

    func hash(_ key: Bytes) throws(CommandError) -> HashView? { try unchanged.hashOrRefuse(key) }
    func set(_ key: Bytes) throws(CommandError) -> SetView? { try unchanged.setOrRefuse(key) }

    /// The editors are nil where the key is missing and `create` is false.
    func editHash(_ key: Bytes, create: Bool) throws(CommandError) -> HashEditor? {
        do { return try db.editHash(key, create: create) } catch { throw .wrongType }
    }
    /// Removes those of these arguments first that are fields whose time has come.
    func editHash(_ key: Bytes, create: Bool, fields: some Sequence<Int>) throws(CommandError) -> HashEditor? {
        let hash = try editHash(key, create: create)
        guard let hash, hash.view.hasDueFields else { return hash }
        for i in fields { db.expireIfDue(args[i], of: key) }
        return try editHash(key, create: create)
    }
    func editSet(_ key: Bytes, create: Bool) throws(CommandError) -> SetEditor? {
        do { return try db.editSet(key, create: create) } catch { throw .wrongType }
    }
    func editZSet(_ key: Bytes, create: Bool) throws(CommandError) -> ZSetEditor? {
        do { return try db.editZSet(key, create: create) } catch { throw .wrongType }
    }
}

extension Arguments {
    /// The count of SPOP and ZPOPMIN.
    func nonNegative(_ index: Int) throws(CommandError) -> Int {
        guard let number = self[index].integer, number >= 0 else { throw .mustBePositive }
        return Int(number)
    }

    /// The LIMIT of SINTERCARD and ZINTERCARD.
    func limit(_ index: Int) throws(CommandError) -> Int {
        guard let number = self[index].integer, number >= 0 else {
            throw CommandError("ERR LIMIT can't be negative")
        }
        return Int(number)
    }

    /// A blocking command's timeout in milliseconds, written in seconds with a fraction; 0 waits for ever.
    func timeout(_ index: Int) throws(CommandError) -> Int64 {
        guard let seconds = LongDouble.parse(self[index]) else {
            throw CommandError("ERR timeout is not a float or out of range")
        }
        let milliseconds = (seconds * 1000).rounded(.up)
        if milliseconds < 0 { throw CommandError("ERR timeout is negative") }
        // Redis adds it to the time in ms since 1970.
        guard let timeout = Int64(exactly: milliseconds), timeout <= .max - wallClockMilliseconds() else {
            throw .timeoutOutOfRange
        }
        return timeout
    }
}
