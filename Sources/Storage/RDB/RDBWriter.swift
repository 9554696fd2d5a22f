// Invariant of this file: `scratch` has the 32 bytes that numbers are rendered into.

/// Writes the records and values of RDB versions 9 to 12 (Redis 5.0 to 7.4) and 80 (Valkey 9), each value in the form that this version's
/// servers keep in memory, so that they load it as it is.
///
/// Format: https://rdb.fnordig.de/file_format.html; what came after version 9 as redis-server 7.0, 7.2 and 7.4 write it.
final class RDBWriter {
    static let versions = [9, 10, 11, 12, RDBFormat.valkeyVersion]
    /// What DUMP writes, and `to-rdb` unless told otherwise: redis-server 7.0 and later read it.
    static let usualVersion = 10

    let output: RDBOutput
    let version: Int
    var isValkey: Bool { version == RDBFormat.valkeyVersion }
    private let compresses: Bool
    private let compressed = OutputBuffer()
    private let ziplist = ZiplistBuilder()
    private let scratch = UnsafeMutableRawPointer.allocate(byteCount: 32, alignment: 8)

    // Strings are compressed from the length on from which Redis does; very long ones are not, as the whole result must
    // be in memory before its length can be written.
    private static let shortestCompressed = 21
    private static let longestCompressed = 64 << 20

    /// `version` is one of `versions`.
    init(_ output: RDBOutput, version: Int, compresses: Bool) {
        self.output = output
        self.version = version
        self.compresses = compresses
    }
    deinit { scratch.deallocate() }

    // MARK: - Lengths and strings

    /// Big-endian, in 1, 2, 5 or 9 bytes.
    @inline(__always) func length(_ count: Int) {
        if count < 1 << 6 { return output.append(byte: UInt8(truncatingIfNeeded: count)) }
        longLength(count)
    }
    @inline(never) private func longLength(_ count: Int) {
        if count < 1 << 14 {
            output.append(bigEndian: UInt16(count) | 0x4000)
        } else if let word = UInt32(exactly: count) {
            output.append(byte: 0x80)
            output.append(bigEndian: word)
        } else {
            output.append(byte: 0x81)
            output.append(bigEndian: UInt64(count))
        }
    }

    /// A length that is filled in later: always 5 bytes.
    func lengthHole() -> RDBOutput.Hole {
        output.append(byte: 0x80)
        return output.appendHole(4)
    }
    func fill(_ hole: RDBOutput.Hole, _ count: UInt32) {
        withUnsafeBytes(of: count.bigEndian) { raw in
            if let base = raw.baseAddress { output.fill(hole, Bytes(base, raw.count)) }
        }
    }

    /// As an integer where it is the decimal form of one of 32 bits, else compressed where that saves something.
    func string(_ text: Bytes) {
        if text.count <= 11, let integer = text.integer, append(integer: integer) { return }
        raw(text)
    }
    func string(_ text: String) {
        var text = text
        text.withUTF8 { if let base = $0.baseAddress { string(Bytes(base, $0.count)) } else { length(0) } }
    }
    func string(_ integer: Int64) {
        if append(integer: integer) { return }
        let count = decimalDigits(of: integer, into: scratch)
        length(count)
        output.append(Bytes(scratch, count))
    }

    private func append(integer: Int64) -> Bool {
        if let byte = Int8(exactly: integer) {
            output.append(byte: 0xC0)
            output.append(littleEndian: byte)
        } else if let short = Int16(exactly: integer) {
            output.append(byte: 0xC1)
            output.append(littleEndian: short)
        } else if let word = Int32(exactly: integer) {
            output.append(byte: 0xC2)
            output.append(littleEndian: word)
        } else {
            return false
        }
        return true
    }

    private func raw(_ text: Bytes) {
        if compresses && text.count >= RDBWriter.shortestCompressed && text.count <= RDBWriter.longestCompressed {
            compressed.removeAll(keepingAtMost: 1 << 20)
            if LZF.compress(text, into: compressed) {
                output.append(byte: 0xC3)
                length(compressed.count)
                length(text.count)
                return output.append(compressed.bytes)
            }
        }
        length(text.count)
        output.append(text)
    }

    // MARK: - Forms of collections

    /// The types by which small collections and lists are written.
    var listKind: RDBFormat.Kind { version >= 10 ? .listQuicklist2 : .listQuicklist }
    var smallHashKind: RDBFormat.Kind { version >= 10 ? .hashListpack : .hashZiplist }
    var smallZSetKind: RDBFormat.Kind { version >= 10 ? .zsetListpack : .zsetZiplist }
    /// nil: such a set is written member by member.
    var smallSetKind: RDBFormat.Kind? { version >= 11 ? .setListpack : nil }
    /// Whether hashes can have fields that expire.
    var hasFieldExpiries: Bool { version >= 12 }
    var hasFunctions: Bool { version >= 10 }
    /// Of a large hash with fields that expire.
    var expiringHashKind: RDBFormat.Kind { isValkey ? .hashMetadataPreGA : .hashMetadata }

    /// The elements of a small collection: a listpack, before version 10 a ziplist.
    func flat(_ pack: Listpack) {
        string(version >= 10 ? pack.bytes : ziplist.convert(pack, scratch: scratch))
    }

    /// A node of a list.
    func node(_ pack: Listpack) {
        if version >= 10 { length(Int(RDBFormat.NodeContainer.packed.rawValue)) }
        flat(pack)
    }
    /// A node that is one long element. From version 10 on.
    func plainNode(_ element: Bytes) {
        length(Int(RDBFormat.NodeContainer.plain.rawValue))
        string(element)
    }

    /// A score of a large sorted set.
    @inline(__always) func score(_ score: Double) { output.append(littleEndian: score.bitPattern) }

    /// A field's expiry: 0 for none, else the distance from the hash's earliest, from 1 on.
    func ttl(_ expiry: Int64?, _ earliest: Int64) { length(expiry.map { Int(max($0, earliest) - earliest) + 1 } ?? 0) }

    func elements(of pack: Listpack) {
        var offset = pack.first
        while let here = offset {
            string(pack.value(at: here, scratch: scratch))
            offset = pack.next(here)
        }
    }
}

// MARK: - Values in memory

extension RDBWriter {
    /// By which type a value is written.
    func kind(of entry: Entry) -> RDBFormat.Kind {
        switch (entry.type, entry.encoding) {
        case (.string, _): .string
        case (.list, _): listKind
        case (.hash, .listpack): smallHashKind
        case (.hash, _): entry.hasExpiringFields ? expiringHashKind : .hash
        case (.set, .intset): .setIntset
        case (.set, .listpack): smallSetKind ?? .set
        case (.set, _): .set
        case (.zset, .listpack): smallZSetKind
        case (.zset, _): .zset2
        case (.stream, _): streamKind
        }
    }

    /// What follows the key. O(elements).
    func value(_ entry: Entry) {
        switch entry.encoding {
        case .int: string(entry.integer ?? 0)
        case .embstr, .raw: string(entry.stringBytes)
        case .intset: string(entry.intset.bytes)
        case .listpack: small(entry)
        case .quicklist:
            let list = entry.chunkedList
            length(list.chunkCount)
            for i in 0..<list.chunks.count { node(list.chunks[i].pack) }
        case .hashtable, .skiplist: large(entry.tableValue)
        case .stream: stream(entry.streamValue)
        }
    }

    private func small(_ entry: Entry) {
        let pack = entry.listpack
        switch entry.type {
        case .list:
            length(1)
            node(pack)
        case .set where smallSetKind == nil:
            length(pack.count)
            elements(of: pack)
        case .set, .hash, .zset, .string, .stream: flat(pack)
        }
    }

    private func large(_ table: TableValue) {
        let earliest = table.expiring?.heap.first?.when
        if let earliest, !isValkey { output.append(littleEndian: earliest) }
        length(table.count)
        if let order = table.order {
            // From the highest score down, as Redis: a server that inserts them in that order never searches.
            order.forEach(from: table.count - 1, reverse: true) { element, score in
                string(element.key)
                self.score(score)
                return true
            }
            return
        }
        for i in 0..<table.count {
            let element = table.slots[i]
            if let earliest, !isValkey { ttl(element.expiry, earliest) }
            string(element.key)
            if table.type == .hash { string(element.stringBytes) }
            if earliest != nil && isValkey { output.append(littleEndian: element.expiry ?? -1) }
        }
    }
}
