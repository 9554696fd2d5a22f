import Storage

/// LCS: the longest common subsequence of two strings.
enum LCSCommand {
    static var table: [Command] {
        CommandGroup.string.rows([
            .read(
                "lcs", -3, [], [.keys(.roAccess, through: 2)], "7.0.0",
                "key1 key2:k0 [LEN] [IDX] [MINMATCHLEN len:i] [WITHMATCHLEN]",
                "Finds the longest common subsequence of two strings.", lcs
            ).complexity("O(N*M) for strings of N and M bytes")
        ])
    }

    private struct Options {
        var length = false
        var indexes = false
        var withMatchLength = false
        var minimum: Int64 = 0

        init(_ args: Arguments) throws(CommandError) {
            var i = 3
            while i < args.count {
                if args[i].equals(ignoringCase: "idx") {
                    indexes = true
                } else if args[i].equals(ignoringCase: "len") {
                    length = true
                } else if args[i].equals(ignoringCase: "withmatchlen") {
                    withMatchLength = true
                } else if args[i].equals(ignoringCase: "minmatchlen"), i + 1 < args.count {
                    i += 1
                    minimum = max(0, try args.integer(i))
                } else {
                    throw .syntax
                }
                i += 1
            }
            if length && indexes {
                throw CommandError("ERR If you want both the length and indexes, please just use IDX.")
            }
        }
    }

    private static func lcs(_ c: ReadContext) throws(CommandError) {
        let a: [UInt8]
        let b: [UInt8]
        do {
            a = try c.db.string(c.args[1])?.array ?? []
            b = try c.db.string(c.args[2])?.array ?? []
        } catch {
            throw CommandError("ERR The specified keys must contain string values")
        }
        let options = try Options(c.args)
        let (cells, overflow) = (a.count + 1).multipliedReportingOverflow(by: b.count + 1)
        if overflow || cells > c.maximumBulkLength / MemoryLayout<UInt32>.size {
            throw CommandError("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
        }
        let table = LengthTable(a, b)
        if options.length { return c.reply.integer(Int64(table.length)) }
        if options.indexes { return write(table, a, b, options, c.reply) }
        let common = [UInt8](unsafeUninitializedCapacity: table.length) { out, count in
            table.walk(a, b) { i, _, left in out[left - 1] = a[i] }
            count = table.length
        }
        common.withUnsafeBytes { text in
            c.reply.bulk(text.baseAddress.map { Bytes($0, text.count) } ?? Bytes())
        }
    }

    /// The matches as ranges of indexes into both strings, from the last one to the first.
    private static func write(
        _ table: LengthTable, _ a: [UInt8], _ b: [UInt8], _ options: Options, _ reply: ReplyWriter
    ) {
        var ranges: [(a: Int, b: Int, count: Int)] = []
        table.walk(a, b) { i, j, _ in
            if let last = ranges.last, last.a == i + 1, last.b == j + 1 {
                ranges[ranges.count - 1] = (i, j, last.count + 1)
            } else {
                ranges.append((i, j, 1))
            }
        }
        ranges.removeAll { $0.count < options.minimum }
        reply.map(2)
        reply.bulk(Bytes("matches"))
        reply.array(ranges.count)
        for range in ranges {
            reply.array(options.withMatchLength ? 3 : 2)
            for start in [range.a, range.b] {
                reply.array(2)
                reply.integer(Int64(start))
                reply.integer(Int64(start + range.count - 1))
            }
            if options.withMatchLength { reply.integer(Int64(range.count)) }
        }
        reply.bulk(Bytes("len"))
        reply.integer(Int64(table.length))
    }
}

/// For every pair of prefixes the length of their longest common subsequence.
private struct LengthTable {
    private let cells: [UInt32]
    private let width: Int
    let length: Int

    init(_ a: [UInt8], _ b: [UInt8]) {
        let width = b.count + 1
        var cells = [UInt32](repeating: 0, count: (a.count + 1) * width)
        cells.withUnsafeMutableBufferPointer { cells in
            for i in 0..<a.count {
                for j in 0..<b.count {
                    let above = cells[i * width + j + 1]
                    let left = cells[(i + 1) * width + j]
                    cells[(i + 1) * width + j + 1] = a[i] == b[j] ? cells[i * width + j] + 1 : max(above, left)
                }
            }
        }
        self.cells = cells
        self.width = width
        length = Int(cells.last ?? 0)
    }

    /// Calls `body` for each byte of one longest common subsequence, the last one first, with its indexes in both
    /// strings and how many are left, itself included.
    func walk(_ a: [UInt8], _ b: [UInt8], _ body: (_ i: Int, _ j: Int, _ left: Int) -> Void) {
        var i = a.count
        var j = b.count
        var left = length
        while left > 0, i > 0, j > 0 {
            if a[i - 1] == b[j - 1] {
                body(i - 1, j - 1, left)
                i -= 1
                j -= 1
                left -= 1
            } else if cells[(i - 1) * width + j] > cells[i * width + j - 1] {
                i -= 1
            } else {
                j -= 1
            }
        }
    }
}
