// Collections that stand in the file as one string: the flat forms of small collections.

extension RDBReader {
    func readCompact(_ kind: RDBFormat.Kind) throws(StorageError) {
        let earliest = kind == .hashListpackEx ? try input.fixed(Int64.self) : 0
        let offset = input.offset
        try string(into: blob)
        switch kind {
        case .listZiplist:
            try walkZiplist(at: offset) { element throws(StorageError) in try self.report(.list, element) }
        case .setListpack:
            try walkListpack(at: offset) { element throws(StorageError) in
                try self.report(.set, element, isFlat: true)
            }
        // Unlike other empty collections, these two are damage to redis-server.
        case .setIntset:
            try walkIntset(at: offset) { member throws(StorageError) in try self.report(.set, member) }
            if !began { throw damage("the intset is empty", at: offset) }
        case .hashZipmap:
            try walkZipmap(at: offset) { field, value throws(StorageError) in try self.report(field, value) }
            if !began { throw damage("the zipmap is empty", at: offset) }
        case .hashZiplist, .hashListpack:
            try walkPairs(kind == .hashListpack, at: offset) { field, value throws(StorageError) in
                try self.report(field, value, isFlat: kind == .hashListpack)
            }
        case .zsetZiplist, .zsetListpack:
            try walkPairs(kind == .zsetListpack, at: offset) { member, text throws(StorageError) in
                guard let score = text.double else { throw self.damage("a score is not a number", at: offset) }
                try self.report(member, score: score, isFlat: kind == .zsetListpack)
            }
        case .hashListpackExPreGA, .hashListpackEx:
            earliestFieldExpiry = 1
            try walkFieldsWithExpiry(earliest: earliest, at: offset)
        case .string, .list, .set, .hash, .zset, .zset2, .module1, .module2, .listQuicklist, .listQuicklist2,
            .streamListpacks, .streamListpacks2, .streamListpacks3, .hashMetadataPreGA, .hashMetadata:
            throw damage("a value of type \(kind.rawValue) is not one string", at: offset)
        }
    }

    /// Elements two by two. The first of each pair is copied: walkers render integers into scratch of their own.
    private func walkPairs(
        _ isListpack: Bool, at offset: Int64, _ body: (Bytes, Bytes) throws(StorageError) -> Void
    ) throws(StorageError) {
        var half = false
        let pair: (Bytes) throws(StorageError) -> Void = { element throws(StorageError) in
            half.toggle()
            if half {
                self.first.removeAll()
                self.first.append(element)
            } else {
                try body(self.first.bytes, element)
            }
        }
        if isListpack {
            try walkListpack(at: offset, pair)
        } else {
            try walkZiplist(at: offset, pair)
        }
        if half { throw damage("the last element has no partner", at: offset) }
    }

    /// Redis 7.4: field, value, expiry (ms since 1970, 0 for none), and so on. The earliest expiry, which stands in
    /// front in the released form, is only for the server's bookkeeping.
    private func walkFieldsWithExpiry(earliest: Int64, at offset: Int64) throws(StorageError) {
        var column = 0
        try walkListpack(at: offset) { element throws(StorageError) in
            switch column {
            case 0, 1:
                let scratch = column == 0 ? self.first : self.second
                scratch.removeAll()
                scratch.append(element)
                column += 1
            default:
                guard let expiry = element.integer, expiry >= 0 else {
                    throw self.damage("a field's expiry is not a time", at: offset)
                }
                column = 0
                try self.report(self.first.bytes, self.second.bytes, expiresMs: expiry == 0 ? nil : expiry)
            }
        }
        if column != 0 { throw damage("the last field is not complete", at: offset) }
    }
}
