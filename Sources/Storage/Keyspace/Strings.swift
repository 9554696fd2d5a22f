import CShims
import Glibc

// Invariant of this file: an entry's string block has room for what is written to it: `reserve` has seen to that.

/// Strings: the hot path. Overwriting a value by one of about its size neither allocates nor moves the entry.
extension Database {
    /// Any old value, of whatever type, is replaced. The canonical decimal form of a 64-bit integer is kept as one.
    public func setString(_ key: Bytes, _ value: Bytes, expiry: ExpiryChange) {
        if value.count <= 20, let integer = value.integer { return setInteger(key, integer, expiry: expiry) }
        let hash = Hashing.hash(key)
        guard let slot = locate(key, hash) else {
            return insert(Entry.makeString(key, value, expiry: expiry.resolved(nil)), hash)
        }
        let old = slot.entry
        let when = expiry.resolved(old.expiry)
        willChange(old, hash)
        if old.type == .string && old.encoding != .int && !old.flags.contains(.outOfLine)
            && (when != nil) == old.flags.contains(.hasExpiry)
            && old.overwriteInline(value, encoding: value.count <= Entry.embstrLimit ? .embstr : .raw)
        {
            updateExpiry(old, when)
            return
        }
        replace(slot, by: Entry.makeString(key, value, expiry: when))
    }

    public func setInteger(_ key: Bytes, _ value: Int64, expiry: ExpiryChange) {
        let hash = Hashing.hash(key)
        guard let slot = locate(key, hash) else {
            return insert(Entry.makeInteger(key, value, expiry: expiry.resolved(nil)), hash)
        }
        let old = slot.entry
        let when = expiry.resolved(old.expiry)
        willChange(old, hash)
        if old.type == .string && old.encoding == .int && (when != nil) == old.flags.contains(.hasExpiry) {
            old.word = UInt64(bitPattern: value)
            updateExpiry(old, when)
            return
        }
        replace(slot, by: Entry.makeInteger(key, value, expiry: when))
    }

    @inline(__always) private func updateExpiry(_ entry: Entry, _ when: Int64?) {
        if let when, when != entry.expiry {
            entry.storeExpiry(when)
            contents.expiries.update(entry, when: when)
        }
    }

    /// The value; an integer is rendered in a scratch that the next call overwrites.
    @inline(__always) public func string(_ key: Bytes) throws(WrongType) -> Bytes? {
        guard let entry = find(key) else { return nil }
        if entry.type != .string { throw WrongType() }
        return string(of: entry)
    }
    /// The value of an entry that is known to be a string.
    @inline(__always) public func string(of entry: Entry) -> Bytes {
        guard let integer = entry.integer else { return entry.stringBytes }
        return Bytes(keyspace.stringScratch, decimalDigits(of: integer, into: keyspace.stringScratch))
    }

    /// Appends to a string or makes one. Returns the new length.
    @discardableResult public func append(_ key: Bytes, _ tail: Bytes) -> Int {
        guard let entry = find(key) else {
            setString(key, tail, expiry: .clear)
            return tail.count
        }
        return setRange(key, string(of: entry).count, tail)
    }

    /// Overwrites part of a string, or of a new one; a gap is filled with zeros. Returns the new length. The value is
    /// a string; the result fits in 32 bits.
    @discardableResult public func setRange(_ key: Bytes, _ offset: Int, _ bytes: Bytes) -> Int {
        let hash = Hashing.hash(key)
        let count = max(offset + bytes.count, find(key).map { string(of: $0).count } ?? 0)
        if find(key) == nil { insertEmptyString(key, hash) }
        guard let slot = locate(key, hash) else { return 0 }
        willChange(slot.entry, hash)
        let entry = reserve(slot, count)
        if offset > entry.stringCount {
            memset(entry.stringBase + entry.stringCount, 0, offset - entry.stringCount)
        }
        memcpy(entry.stringBase + offset, bytes.base, bytes.count)
        entry.stringCount = count
        return count
    }

    private func insertEmptyString(_ key: Bytes, _ hash: UInt64) {
        // What is written to it counts, the key does not.
        insert(Entry.makeString(key, Bytes(), expiry: nil, encoding: .raw), hash, counts: 0)
    }

    /// Replaces any old value by a raw string of `count` bytes that `fill` writes, all of them; it may still read what the
    /// keys held before, this one too. Not taken for an integer, whatever the bytes.
    public func setRaw(_ key: Bytes, count: Int, expiry: ExpiryChange, _ fill: (UnsafeMutableRawPointer) -> Void) {
        let hash = Hashing.hash(key)
        let slot = locate(key, hash)
        let when = expiry.resolved(slot?.entry.expiry)
        let new = Entry.makeRaw(key, count: count, expiry: when)
        fill(new.stringBase)
        guard let slot else { return insert(new, hash) }
        willChange(slot.entry, hash)
        replace(slot, by: new)
    }

    /// The bytes of a string, which is made a raw one, to be overwritten in place before anything else is done with the
    /// key; counts as a change. Where it is shorter than `count`, zeros are appended; a missing key becomes a string of
    /// zeros. nil where there are no bytes.
    public func mutableString(_ key: Bytes, atLeast count: Int = 0) throws(WrongType)
        -> UnsafeMutableRawBufferPointer?
    {
        let hash = Hashing.hash(key)
        if find(key) == nil { insertEmptyString(key, hash) }
        guard let slot = locate(key, hash) else { return nil }
        guard slot.entry.type == .string else { throw WrongType() }
        let old = string(of: slot.entry).count
        willChange(slot.entry, hash)
        let entry = reserve(slot, max(count, old))
        if count > old {
            memset(entry.stringBase + old, 0, count - old)
            entry.stringCount = count
        }
        return entry.stringCount == 0
            ? nil : UnsafeMutableRawBufferPointer(start: entry.stringBase, count: entry.stringCount)
    }

    /// Makes the string at `slot` a raw one with room for `count` bytes; what it holds stays.
    private func reserve(_ slot: Slot, _ count: Int) -> Entry {
        let old = slot.entry
        let text = string(of: old)
        if old.flags.contains(.outOfLine) {
            if count > malloc_usable_size(old.pointer) {
                // Appends come in rows: double, so that they copy each byte a constant number of times.
                old.pointer = realloc(old.pointer, min(max(count, old.stringCount * 2), count + (1 << 20)))!
            }
            return old
        }
        if old.encoding != .int && count <= Entry.inlineLimit {
            let used = (old.stringBase - old.raw) + count
            if used <= malloc_usable_size(old.raw) {
                old.encoding = .raw
                return old
            }
        }
        let new: Entry
        if count > Entry.inlineLimit {
            new = Entry.make(old.key, type: .string, encoding: .raw, expiry: old.expiry, room: 8, flags: .outOfLine)
            // What grows may go on to: not so what is made in one piece.
            new.pointer = malloc(text.count == 0 ? count : min(count * 2, count + (1 << 20)))!
        } else {
            let room = min(max(count, text.count * 2), Entry.inlineLimit)
            new = Entry.make(old.key, type: .string, encoding: .raw, expiry: old.expiry, room: room)
        }
        new.stringCount = text.count
        memcpy(new.stringBase, text.base, text.count)
        replace(slot, by: new)
        return new
    }
}

extension ExpiryChange {
    @inline(__always) func resolved(_ old: Int64?) -> Int64? {
        switch self {
        case .clear: nil
        case .keep: old
        case .at(let ms): ms
        }
    }
}
