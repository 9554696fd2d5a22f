import Storage

// Invariant of this file: bytes handed to a closure live in the temporary allocation that surrounds the call.

/// Look-ups of strings and lists that answer WRONGTYPE, and arguments that these groups read alike.
extension ReadDatabase {
    @inline(__always) func stringOrRefuse(_ key: Bytes) throws(CommandError) -> Bytes? {
        do { return try string(key) } catch { throw .wrongType }
    }
    func listOrRefuse(_ key: Bytes) throws(CommandError) -> ListView? {
        do { return try list(key) } catch { throw .wrongType }
    }
}

extension ReadContext {
    @inline(__always) func string(_ key: Bytes) throws(CommandError) -> Bytes? { try db.stringOrRefuse(key) }
    func list(_ key: Bytes) throws(CommandError) -> ListView? { try db.listOrRefuse(key) }
}

extension WriteContext {
    @inline(__always) func string(_ key: Bytes) throws(CommandError) -> Bytes? { try unchanged.stringOrRefuse(key) }

    /// nil where the key is missing and `create` is false.
    func editList(_ key: Bytes, create: Bool) throws(CommandError) -> ListEditor? {
        do { return try db.editList(key, create: create) } catch { throw .wrongType }
    }

    /// Deletes a key that was given an expiry in the past, and logs just that.
    func removeAsExpired(_ key: Bytes) {
        remove(key)
        propagate(settings.lazyExpire ? Bytes("UNLINK") : Bytes("DEL"), key)
    }
}

extension Arguments {
    /// An integer within `range`; what is none at all has another error than what is outside.
    func integer(_ index: Int, in range: ClosedRange<Int64>) throws(CommandError) -> Int64 {
        let value = try integer(index)
        if !range.contains(value) {
            throw CommandError(
                "ERR value is out of range, value must between \(range.lowerBound) and \(range.upperBound)")
        }
        return value
    }
}

/// The indexes that "start end" means in a run of `count`, both included and counted from the end where negative.
func indexRange(_ start: Int64, _ end: Int64, count: Int) -> Range<Int> {
    let count = Int64(count)
    let first = start < 0 ? max(count &+ start, 0) : start
    let last = end < 0 ? max(count &+ end, 0) : min(end, count - 1)
    return first > last || first >= count ? 0..<0 : Int(first)..<Int(last) + 1
}

/// Calls `body` with the decimal form of `value`, without an allocation.
func withDecimal(_ value: Int64, _ body: (Bytes) -> Void) {
    withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { text in
        guard let base = text.baseAddress else { return }
        body(Bytes(base, decimalDigits(of: value, into: base)))
    }
}

/// Calls `body` with a copy of `bytes`, which may then become invalid. On the stack where short.
func withCopy(_ bytes: Bytes, _ body: (Bytes) -> Void) {
    withUnsafeTemporaryAllocation(byteCount: max(bytes.count, 1), alignment: 1) { copy in
        guard let base = copy.baseAddress else { return }
        copy.copyMemory(from: bytes.buffer)
        body(Bytes(base, bytes.count))
    }
}
