import Foundation

@testable import Storage

/// A row that owns its bytes. Scores compare by their bits.
enum OwnedRow: Equatable {
    case string(Int64, db: Int32, [UInt8], [UInt8], Int64?)
    case owner(ValueType, Int64, db: Int32, [UInt8], Int64?)
    case element(ValueType, Int64, UInt32, [UInt8], [UInt8], UInt64, Int64?)
    case other(String)

    init(_ row: Row) {
        self =
            switch row {
            case .string(let id, let db, let key, let value, let expiresMs):
                .string(id, db: db, key.array, value.array, expiresMs)
            case .owner(let type, let id, let db, let key, let expiresMs):
                .owner(type, id, db: db, key.array, expiresMs)
            case .element(let type, let owner, let slot, let first, let second, let score, let expiresMs):
                .element(type, owner, slot, first.array, second.array, score.bitPattern, expiresMs)
            case .stream(let owner, let row): .other("stream \(owner) \(text(row))")
            case .removeString(let id): .other("remove string \(id)")
            case .removeOwner(let type, let id): .other("remove \(type.name) \(id)")
            case .removeElements(let type, let owner, let slots):
                .other("remove \(type.name) \(owner) \(slots.lowerBound)..<\(slots.upperBound)")
            case .flushAll: .other("flush all")
            case .flushDatabase(let db): .other("flush \(db)")
            case .swapDatabases(let a, let b): .other("swap \(a) \(b)")
            }
    }
    func append(to batch: RowBatch) {
        switch self {
        case .string(let id, let db, let key, let value, let expiresMs):
            with(key) { key in
                with(value) { batch.appendString(id: id, db: db, key: key, value: $0, expiresMs: expiresMs) }
            }
        case .owner(let type, let id, let db, let key, let expiresMs):
            with(key) { batch.appendOwner(type: type, id: id, db: db, key: $0, expiresMs: expiresMs) }
        case .element(let type, let owner, let slot, let first, let second, let score, let expiresMs):
            with(first) { first in
                with(second) { second in
                    switch type {
                    case .list: batch.appendListItem(owner: owner, slot: slot, first)
                    case .set: batch.appendSetMember(owner: owner, slot: slot, first)
                    case .zset:
                        batch.appendZSetMember(owner: owner, slot: slot, first, score: Double(bitPattern: score))
                    default: batch.appendHashField(owner: owner, slot: slot, first, second, expiresMs: expiresMs)
                    }
                }
            }
        case .other: break
        }
    }
}

func with<R>(_ array: [UInt8], _ body: (Bytes) throws -> R) rethrows -> R {
    try array.withUnsafeBytes { buffer in
        guard let base = buffer.baseAddress else { return try body(Bytes()) }
        return try body(Bytes(base, buffer.count))
    }
}

func utf8(_ text: String) -> [UInt8] { [UInt8](text.utf8) }

func string(_ id: Int64, _ key: String, _ value: String, db: Int32 = 0, expiresMs: Int64? = nil) -> OwnedRow {
    .string(id, db: db, utf8(key), utf8(value), expiresMs)
}
func owner(_ type: ValueType, _ id: Int64, _ key: String, db: Int32 = 0, expiresMs: Int64? = nil) -> OwnedRow {
    .owner(type, id, db: db, utf8(key), expiresMs)
}
func item(_ owner: Int64, _ slot: UInt32, _ text: String) -> OwnedRow {
    .element(.list, owner, slot, utf8(text), [], 0, nil)
}
func field(_ owner: Int64, _ slot: UInt32, _ name: String, _ value: String, expiresMs: Int64? = nil) -> OwnedRow {
    .element(.hash, owner, slot, utf8(name), utf8(value), 0, expiresMs)
}
func member(_ owner: Int64, _ slot: UInt32, _ name: String) -> OwnedRow {
    .element(.set, owner, slot, utf8(name), [], 0, nil)
}
func scored(_ owner: Int64, _ slot: UInt32, _ name: String, _ score: Double) -> OwnedRow {
    .element(.zset, owner, slot, utf8(name), [], score.bitPattern, nil)
}

func batch(_ rows: [OwnedRow]) -> RowBatch {
    let batch = RowBatch()
    for row in rows { row.append(to: batch) }
    return batch
}

func meta(_ checkpoint: Int64 = 1) -> Meta {
    Meta(
        server: "8f0c-uuid", checkpoint: checkpoint, savedAtMs: 1_790_000_000_000, segment: 7, segmentOffset: 42,
        replicationID: "abcd", replicationOffset: 99)
}

/// One checkpoint with these rows.
func checkpoint(_ writer: SnapshotWriter, _ rows: [OwnedRow], _ prepare: (RowBatch) -> Void = { _ in }) throws {
    let rows = batch(rows)
    prepare(rows)
    try writer.apply(rows)
    try writer.commit(meta())
}

func contents(_ path: String) throws -> [OwnedRow] {
    let reader = try SnapshotReader(path: path, check: true)
    var rows: [OwnedRow] = []
    try reader.read { $0.forEach { rows.append(OwnedRow($0)) } }
    return rows
}

/// Runs SQL; rows as text, columns joined by "|", NULL as "-".
func query(_ path: String, _ sql: String) throws -> [String] {
    let connection = try SQLiteConnection(path: path, mode: .write, Host.real.files)
    let statement = try connection.prepare(sql)
    var lines: [String] = []
    while try statement.step() {
        let columns = (0..<statement.columnCount).map {
            statement.isNull($0) ? "-" : statement.bytes($0).string
        }
        lines.append(columns.joined(separator: "|"))
    }
    return lines
}

/// What a StorageError says, or "" when nothing is thrown.
func refusal(_ body: () throws -> Void) -> String {
    do {
        try body()
        return ""
    } catch let error as StorageError {
        return error.description
    } catch {
        return "not a StorageError: \(error)"
    }
}
