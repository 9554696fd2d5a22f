// Invariant of this file: what `RDBOutput` hands out here is used before anything else is appended.

/// Encodes values as payloads of RESTORE, from rows. It writes the plain forms that every version of the format has, element
/// by element: the server that takes them makes of them what its own limits say.
public final class PayloadWriter {
    /// RDB version of the footer: 9 for Redis 5 and 6, 10 for 7.0, 11 for 7.2, 12 for 7.4 and later, 80 for Valkey 9.
    public let version: Int
    private let output = RDBOutput()
    private let writer: RDBWriter

    /// `version`: one of those above.
    public init(version: Int, compresses: Bool) {
        self.version = version
        writer = RDBWriter(output, version: version, compresses: compresses)
    }

    /// Whether fields of hashes can expire there.
    public static func hasFieldExpiries(_ version: Int) -> Bool {
        version >= DumpPayload.Family.redis.versionWithFieldExpiries
    }

    /// The payload of a string; valid until the next call.
    public func string(_ value: Bytes) -> Bytes {
        output.removeAll()
        output.append(byte: RDBFormat.Kind.string.rawValue)
        writer.string(value)
        return finish()
    }

    /// The payload of a collection, whose elements alone are in `rows`; valid until the next call. Fields' expiries must be
    /// ones that the version has. Throws where the rows of a stream contradict each other. O(elements).
    public func collection(_ type: ValueType, _ rows: RowBatch) throws(StorageError) -> Bytes {
        output.removeAll()
        switch type {
        case .hash: hash(rows)
        case .list: elements(.list, rows)
        case .set: elements(.set, rows)
        case .zset: elements(.zset2, rows)
        case .stream: try stream(rows)
        case .string: break
        }
        return finish()
    }

    private func finish() -> Bytes {
        DumpPayload.appendFooter(to: output, version: version)
        return output.bytes
    }

    private func elements(_ kind: RDBFormat.Kind, _ rows: RowBatch) {
        output.append(byte: kind.rawValue)
        writer.length(rows.count)
        rows.forEach { row in
            guard case .element(let type, _, _, let first, _, let score, _) = row else { return }
            writer.string(first)
            if type == .zset { writer.score(score) }
        }
    }

    private func hash(_ rows: RowBatch) {
        var earliest: Int64?
        rows.forEach { row in
            if case .element(_, _, _, _, _, _, let expiry?) = row { earliest = min(earliest ?? .max, expiry) }
        }
        let kind: RDBFormat.Kind = earliest == nil ? .hash : writer.expiringHashKind
        output.append(byte: kind.rawValue)
        if let earliest, !writer.isValkey { output.append(littleEndian: earliest) }
        writer.length(rows.count)
        rows.forEach { row in
            guard case .element(_, _, _, let field, let value, _, let expiry) = row else { return }
            if let earliest, !writer.isValkey { writer.ttl(expiry, earliest) }
            writer.string(field)
            writer.string(value)
            if earliest != nil && writer.isValkey { output.append(littleEndian: expiry ?? -1) }
        }
    }

    private func stream(_ rows: RowBatch) throws(StorageError) {
        let loader = StreamLoader(limits: Limits())
        try rows.forEach { (row: Row) throws(StorageError) in
            switch row {
            case .element(_, _, _, let id, let fields, _, _):
                if let id = StreamID(bytes: id), loader.addEntry(id, fields) { return }
            case .stream(_, let row):
                if loader.add(row) { return }
            case .string, .owner, .removeString, .removeOwner, .removeElements, .flushAll, .flushDatabase,
                .swapDatabases:
                break
            }
            throw contradiction
        }
        guard let (value, _) = loader.finish() else { throw contradiction }
        output.append(byte: writer.streamKind.rawValue)
        writer.stream(value)
    }

    private var contradiction: StorageError { StorageError(file: "a stream", message: "contradicts itself") }
}
