import Glibc

// Invariant of this file: `columns` has room for `limit` columns, of which `count` are the record's so far; bytes
// of a column are borrowed until the record is written. `head` has room for the longest header and all numbers.

/// One row in SQLite's record format (sqlite.org/fileformat2, "Record Format"): a header of serial types, then the values.
final class RecordBuilder: ColumnSink {
    private struct Column {
        var type: UInt64 = 0
        /// A value of up to eight bytes, most significant first, in the high bytes.
        var number: UInt64 = 0
        var bytes = Bytes()
    }
    private static let limit = 16
    private let columns = UnsafeMutablePointer<Column>.allocate(capacity: RecordBuilder.limit)
    private var count = 0
    private let head = UnsafeMutableRawPointer.allocate(byteCount: RecordBuilder.limit * 10, alignment: 8)

    deinit {
        columns.deallocate()
        head.deallocate()
    }

    /// Begins a row of a table of `count` columns, the first of which is the id: it is NULL in the record. All others are
    /// NULL until they are bound.
    func begin(columns count: Int) {
        precondition(count > 0 && count <= RecordBuilder.limit)
        self.count = count
        columns.update(repeating: Column(), count: count)
    }

    // MARK: Columns

    func bind(_ index: Int32, _ value: Int64) {
        let column = at(index)
        switch value {
        case 0: column.pointee.type = 8
        case 1: column.pointee.type = 9
        default:
            let bits = value ^ (value >> 63)
            let width = 65 - bits.leadingZeroBitCount
            let type: UInt64 =
                width <= 8 ? 1 : width <= 16 ? 2 : width <= 24 ? 3 : width <= 32 ? 4 : width <= 48 ? 5 : 6
            column.pointee.type = type
            column.pointee.number = UInt64(bitPattern: value) << UInt64(64 - 8 * RecordBuilder.size(ofNumber: type))
        }
    }
    func bind(_ index: Int32, _ value: Int64?) { if let value { bind(index, value) } }
    func bind(_ index: Int32, _ value: Double) {
        let column = at(index)
        column.pointee.type = 7
        column.pointee.number = value.bitPattern
    }
    func bind(_ index: Int32, _ value: Bytes) {
        let column = at(index)
        column.pointee.type = UInt64(value.count) * 2 + (value.isText ? 13 : 12)
        column.pointee.bytes = value
    }
    @inline(__always) private func at(_ index: Int32) -> UnsafeMutablePointer<Column> {
        precondition(index >= 1 && Int(index) <= count)
        return columns + Int(index) - 1
    }

    @inline(__always) private static func size(ofNumber type: UInt64) -> Int {
        switch type {
        case 1...4: Int(type)
        case 5: 6
        case 6, 7: 8
        default: 0
        }
    }

    // MARK: The record

    /// Bytes of the record. The header's length counts itself in one byte: 15 columns of nine bytes stay below 128 only
    /// because no table here has more than nine.
    var byteCount: Int {
        var header = 1
        var body = 0
        for i in 0..<count {
            let type = columns[i].type
            header &+= Varint.size(type)
            body &+= type >= 12 ? columns[i].bytes.count : RecordBuilder.size(ofNumber: type)
        }
        precondition(header < 128)
        return header &+ body
    }

    /// Calls `body` with the record's bytes in pieces, each valid during its call only.
    @inline(__always) func forEachPiece(_ body: (UnsafeRawPointer, Int) -> Void) {
        var p = head + 1
        for i in 0..<count { p += Varint.write(columns[i].type, to: p) }
        head.storeBytes(of: UInt8(truncatingIfNeeded: p - head), as: UInt8.self)
        // Numbers follow the header in the same piece until a column of bytes.
        var start = head
        for i in 0..<count {
            let type = columns[i].type
            if type < 12 {
                p.storeBytes(of: columns[i].number.bigEndian, as: UInt64.self)
                p += RecordBuilder.size(ofNumber: type)
                continue
            }
            if p > start { body(start, p - start) }
            start = p
            if columns[i].bytes.count > 0 { body(columns[i].bytes.base, columns[i].bytes.count) }
        }
        if p > start { body(start, p - start) }
    }
}

/// SQLite's variable-length integers: seven bits a byte, most significant first; a ninth byte has eight.
enum Varint {
    static let maximumSize = 9

    @inline(__always) static func size(_ value: UInt64) -> Int {
        if value < 128 { return 1 }
        let bits = 64 - value.leadingZeroBitCount
        return bits > 56 ? maximumSize : (bits + 6) / 7
    }

    /// Writes `value` at `p`; returns the number of bytes.
    @inline(__always) static func write(_ value: UInt64, to p: UnsafeMutableRawPointer) -> Int {
        if value < 128 {
            p.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
            return 1
        }
        let length = size(value)
        var rest = value
        var at = length - 1
        if length == maximumSize {
            p.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: at, as: UInt8.self)
            rest >>= 8
            at -= 1
        }
        var isLast = length < maximumSize
        while at >= 0 {
            let bits = UInt8(truncatingIfNeeded: rest & 0x7f)
            p.storeBytes(of: isLast ? bits : bits | 0x80, toByteOffset: at, as: UInt8.self)
            isLast = false
            rest >>= 7
            at -= 1
        }
        return length
    }
}
