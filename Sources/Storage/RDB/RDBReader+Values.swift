// What a key holds, in each of the forms that Redis has written it in since version 1 of the format.

extension RDBReader {
    /// Reads the value in hand and reports it. False when it was an empty collection, which redis-server leaves out.
    func readValue(_ kind: RDBFormat.Kind) throws(StorageError) -> Bool {
        if kind == .string {
            try string(into: first)
            if !dropped { try visitor.string(currentKey, first.bytes) }
            return true
        }
        began = false
        earliestFieldExpiry = nil
        seen.removeAll()
        let before = summary.elements
        let rememberedDrop = dropped
        switch kind {
        case .list, .set: try readElements(kind == .list ? .list : .set)
        case .hash: try readPairs()
        case .zset, .zset2: try readScored(binary: kind == .zset2)
        case .hashMetadataPreGA where isValkey: try readPairsBeforeExpiry()
        case .hashMetadataPreGA, .hashMetadata: try readPairsWithExpiry(relative: kind == .hashMetadata)
        case .streamListpacks: try readStream(version: 1)
        case .streamListpacks2: try readStream(version: 2)
        case .streamListpacks3: try readStream(version: 3)
        case .listQuicklist: try readQuicklist()
        case .listQuicklist2: try readQuicklist2()
        case .listZiplist, .setIntset, .setListpack, .hashZipmap, .hashZiplist, .hashListpack, .hashListpackExPreGA,
            .hashListpackEx, .zsetZiplist, .zsetListpack:
            try readCompact(kind)
        case .string, .module1, .module2: throw damage("a value of type \(kind.rawValue) is no collection")
        }
        if seen.hasRepeated { throw damage("an element comes twice in the value that ends here") }
        dropped = rememberedDrop
        if began && !dropped { try visitor.end() }
        if dropped { summary.elements = before }
        return began
    }

    var currentKey: VisitedKey {
        VisitedKey(
            database: database, key: key.bytes, expiresMs: expiresMs, earliestFieldExpiry: earliestFieldExpiry)
    }

    // MARK: - Reporting

    private func begin(_ type: ValueType, _ sizeHint: UInt64) throws(StorageError) {
        if began { return }
        began = true
        if !dropped {
            try visitor.begin(type, currentKey, sizeHint: input.knownSize == nil ? 0 : Int(clamping: sizeHint))
        }
    }

    /// A stream's entries and rows follow, if it has any.
    func beginStream() throws(StorageError) { try begin(.stream, 0) }

    func unique(_ element: Bytes, _ what: StaticString) throws(StorageError) {
        guard seen.insert(element) else { throw damage("a \(what) comes twice in the value that ends here") }
    }

    /// Says, once a block, how far into a big collection the file has been read.
    @inline(__always) func advanced() throws(StorageError) {
        if input.hasAdvanced { try tellProgress() }
    }
    @inline(never) private func tellProgress() throws(StorageError) {
        input.hasAdvanced = false
        try visitor.reached(input.offset, of: input.size)
    }

    func mended(_ kind: RDBMending) { if !dropped { summary.mended[kind, default: 0] += 1 } }

    /// False for an element that is there already and is left out, where redis-server does not look for it. `isFlat`: it
    /// comes from a form in which elements stand one after the other in memory, too.
    private func isNew(_ element: Bytes, _ what: StaticString, _ isFlat: Bool) throws(StorageError) -> Bool {
        if !isFlat || !options.mends {
            try unique(element, what)
        } else if !seen.insert(element) {
            mended(.repeated)
            return false
        }
        return true
    }

    func report(_ type: ValueType, _ element: Bytes, hint: UInt64 = 0, isFlat: Bool = false) throws(StorageError) {
        if type == .set, !(try isNew(element, "member", isFlat)) { return }
        try begin(type, hint)
        summary.elements += 1
        if !dropped { try visitor.element(element) }
        try advanced()
    }

    func report(
        _ field: Bytes, _ value: Bytes, expiresMs: Int64? = nil, hint: UInt64 = 0, isFlat: Bool = false
    ) throws(StorageError) {
        if field.count > RowLimits.maximumName { throw tooLong("field") }
        if !(try isNew(field, "field", isFlat)) { return }
        if isDue(expiresMs) { return }
        try begin(.hash, hint)
        summary.elements += 1
        if !dropped { try visitor.pair(field, value, expiresMs: expiresMs) }
        try advanced()
    }

    func report(_ member: Bytes, score: Double, hint: UInt64 = 0, isFlat: Bool = false) throws(StorageError) {
        if !(try isNew(member, "member", isFlat)) { return }
        if score.isNaN { throw damage("a score is not a number") }
        try begin(.zset, hint)
        summary.elements += 1
        if !dropped { try visitor.scored(member, score) }
        try advanced()
    }

    func tooLong(_ what: String) -> StorageError {
        damage("a \(what) has more than \(RowLimits.maximumName) bytes: the snapshot could not hold it")
    }

    // MARK: - Element by element

    private func readElements(_ type: ValueType) throws(StorageError) {
        let count = try elementCount(bytesEach: 1)
        var left = count
        while left > 0 {
            left -= 1
            try string(into: first)
            try report(type, first.bytes, hint: count)
        }
    }

    private func readPairs() throws(StorageError) {
        let count = try elementCount(bytesEach: 2)
        var left = count
        while left > 0 {
            left -= 1
            try string(into: first)
            try string(into: second)
            // redis-server makes a listpack of a small one.
            try report(first.bytes, second.bytes, hint: count, isFlat: count <= Self.smallHash)
        }
    }

    /// hash-max-listpack-entries.
    private static var smallHash: UInt64 { UInt64(Limits().hashMaxListpackEntries) }

    /// Redis 7.4. Each field is preceded by its expiry: 0 for none, else milliseconds since 1970; relative: since one
    /// before the earliest, which stands in front.
    private func readPairsWithExpiry(relative: Bool) throws(StorageError) {
        let earliest = relative ? try input.fixed(Int64.self) : 0
        earliestFieldExpiry = max(1, earliest)
        let count = try elementCount(bytesEach: 3)
        var left = count
        while left > 0 {
            left -= 1
            let offset = input.offset
            let raw = try length()
            var expiry: Int64?
            if raw != 0 {
                guard let distance = Int64(exactly: relative ? raw - 1 : raw),
                    case (let absolute, false) = earliest.addingReportingOverflow(distance)
                else { throw damage("a field's expiry is out of range", at: offset) }
                expiry = absolute
            }
            try string(into: first)
            try string(into: second)
            try report(first.bytes, second.bytes, expiresMs: expiry, hint: count)
        }
    }

    /// Valkey 9. Each pair is followed by its expiry in ms since 1970; -1 for none.
    private func readPairsBeforeExpiry() throws(StorageError) {
        earliestFieldExpiry = 1
        let count = try elementCount(bytesEach: 10)
        var left = count
        while left > 0 {
            left -= 1
            try string(into: first)
            try string(into: second)
            let offset = input.offset
            let expiry = try input.fixed(Int64.self)
            guard expiry >= -1 else { throw damage("a field's expiry is not a time", at: offset) }
            try report(first.bytes, second.bytes, expiresMs: expiry == -1 ? nil : expiry, hint: count)
        }
    }

    private func readScored(binary: Bool) throws(StorageError) {
        let count = try elementCount(bytesEach: 2)
        var left = count
        while left > 0 {
            left -= 1
            try string(into: first)
            let score = binary ? Double(bitPattern: try input.fixed(UInt64.self)) : try textScore()
            try report(first.bytes, score: score, hint: count)
        }
    }

    /// A length and so many ASCII characters; three lengths mean what has no digits.
    private func textScore() throws(StorageError) -> Double {
        let offset = input.offset
        switch try input.byte() {
        case 255: return -.infinity
        case 254: return .infinity
        case 253: return .nan
        case let count:
            second.removeAll()
            try input.bytes(UInt64(count), into: second)
            guard let score = second.bytes.double else { throw damage("a score is not a number", at: offset) }
            return score
        }
    }

    // MARK: - Lists of nodes

    private func readQuicklist() throws(StorageError) {
        var nodes = try elementCount(bytesEach: 1)
        while nodes > 0 {
            nodes -= 1
            let offset = input.offset
            try string(into: blob)
            try walkZiplist(at: offset) { element throws(StorageError) in try self.report(.list, element) }
        }
    }

    private func readQuicklist2() throws(StorageError) {
        var nodes = try elementCount(bytesEach: 2)
        while nodes > 0 {
            nodes -= 1
            let offset = input.offset
            let container = try length()
            try string(into: blob)
            switch RDBFormat.NodeContainer(rawValue: container) {
            case .plain:
                if blob.count == 0 { throw damage("a node of a list is empty", at: offset) }
                try report(.list, blob.bytes)
            case .packed:
                try walkListpack(at: offset) { element throws(StorageError) in try self.report(.list, element) }
            case nil: throw damage("\(container) is no container of a list's node", at: offset)
            }
        }
    }
}
