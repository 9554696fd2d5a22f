import Storage

// Invariant of this file: fields are read and written byte by byte through bounds-checked subscripts.

/// BITFIELD: integers of any width up to 64 bits, anywhere in a string.
enum BitfieldCommands {
    static var table: [Command] {
        CommandGroup.bitmap.rows([
            .write(
                "bitfield", -2, .denyoom,
                [.key([.rwAccessUpdate, .variableFlags], note: "The subcommands decide whether the key is written.")],
                "3.2.0",
                """
                key [operation(GET encoding_offset{encoding offset:i}|write{[OVERFLOW wrap_sat_fail(WRAP|\
                SAT|FAIL)] write_operation(SET encoding_offset_value{encoding offset:i value:i}|\
                INCRBY encoding_offset_increment{encoding offset:i increment:i})})...]
                """, "Reads and writes integers of any width within a string.", bitfield
            ).complexity("O(1) for each subcommand").findingKeys(bitfieldKeys),
            .read(
                "bitfield_ro", -2, .fast, [.key(.roAccess)], "6.0.0",
                "key [GET encoding_offset{encoding offset:i}....]", "Reads integers of any width within a string.",
                bitfieldReadOnly
            ).complexity("O(1) for each subcommand"),
        ])
    }

    /// The key, which is only read where every subcommand is a GET.
    private static let bitfieldKeys: KeyFinder = { args, body in
        var i = 2
        while i < args.count {
            if args[i].equals(ignoringCase: "get"), i + 2 < args.count {
                i += 3
            } else if args[i].equals(ignoringCase: "overflow"), i + 1 < args.count {
                i += 2
            } else {
                break
            }
        }
        body(1, i < args.count ? .rwAccessUpdate : .roAccess)
        return true
    }

    // MARK: - Parsing

    private enum Overflow { case wrap, saturate, fail }
    private enum Action {
        case get
        case set(Int64)
        case increment(Int64)
    }
    private struct Operation {
        let field: Field
        let action: Action
        let overflow: Overflow
    }

    private static func parse(_ args: Arguments, limit: Int, onlyGet: Bool) throws(CommandError) -> [Operation] {
        var operations: [Operation] = []
        var overflow = Overflow.wrap
        var writes = false
        var i = 2
        while i < args.count {
            let left = args.count - i - 1
            if args[i].equals(ignoringCase: "overflow"), left >= 1 {
                if args[i + 1].equals(ignoringCase: "wrap") {
                    overflow = .wrap
                } else if args[i + 1].equals(ignoringCase: "sat") {
                    overflow = .saturate
                } else if args[i + 1].equals(ignoringCase: "fail") {
                    overflow = .fail
                } else {
                    throw CommandError("ERR Invalid OVERFLOW type specified")
                }
                i += 2
                continue
            }
            let isGet = args[i].equals(ignoringCase: "get") && left >= 2
            let isSet = args[i].equals(ignoringCase: "set") && left >= 3
            let isIncrement = args[i].equals(ignoringCase: "incrby") && left >= 3
            guard isGet || isSet || isIncrement else { throw .syntax }
            let field = try Field(args[i + 1], args[i + 2], limit: limit)
            if isGet {
                operations.append(Operation(field: field, action: .get, overflow: overflow))
                i += 3
            } else {
                writes = true
                let number = try args.integer(i + 3)
                operations.append(
                    Operation(field: field, action: isSet ? .set(number) : .increment(number), overflow: overflow))
                i += 4
            }
        }
        if writes && onlyGet { throw CommandError("ERR BITFIELD_RO only supports the GET subcommand") }
        return operations
    }

    // MARK: - Executing

    private static func bitfieldReadOnly(_ c: ReadContext) throws(CommandError) {
        let operations = try parse(c.args, limit: c.maximumBulkLength, onlyGet: true)
        let value = try c.string(c.args[1]) ?? Bytes()
        answer(operations, value, c.reply)
    }

    private static func answer(_ operations: [Operation], _ value: Bytes, _ reply: ReplyWriter) {
        reply.array(operations.count)
        for operation in operations { reply.integer(operation.field.read(value)) }
    }

    private static func bitfield(_ c: WriteContext) throws(CommandError) {
        let operations = try parse(c.args, limit: c.maximumBulkLength, onlyGet: false)
        var end = 0
        for operation in operations {
            if case .get = operation.action { continue }
            end = max(end, operation.field.end)
        }
        guard end > 0 else {
            return answer(operations, try c.reading.stringOrRefuse(c.args[1]) ?? Bytes(), c.reply)
        }
        let value = try c.string(c.args[1]) ?? Bytes()
        var changes = 0
        // The string reaches to the last field that is written, even where an overflow then forbids it.
        var bytes: UnsafeMutableRawBufferPointer?
        let grows = value.count < end
        if grows { bytes = try mutable(c, end) }
        c.reply.array(operations.count)
        for operation in operations {
            let field = operation.field
            let old = field.read(bytes.flatMap { Bytes($0) } ?? value)
            let new: Int64?
            switch operation.action {
            case .get:
                c.reply.integer(old)
                continue
            case .set(let number):
                new = field.fitted(
                    field.value(of: number, saturates: operation.overflow == .saturate), operation.overflow == .wrap,
                    operation.overflow == .fail)
            case .increment(let number):
                new = field.fitted(
                    Int128(old) + Int128(number), operation.overflow == .wrap, operation.overflow == .fail)
            }
            guard let new else {
                c.reply.null()
                continue
            }
            if case .set = operation.action { c.reply.integer(old) } else { c.reply.integer(new) }
            if grows || new != old { changes += 1 }
            if new == old { continue }
            if bytes == nil { bytes = try mutable(c, end) }
            if let bytes { field.write(new, bytes) }
        }
        if changes > 0 { c.changed(c.args[1], .string, "setbit") }
        c.count(as: changes)
    }

    private static func mutable(_ c: WriteContext, _ end: Int) throws(CommandError) -> UnsafeMutableRawBufferPointer? {
        do { return try c.db.mutableString(c.args[1], atLeast: end) } catch { throw .wrongType }
    }

    // MARK: - Fields

    /// Where an integer lies in a string, and its type.
    private struct Field {
        /// In bits.
        let offset: Int
        let width: Int
        let isSigned: Bool

        init(_ type: Bytes, _ at: Bytes, limit: Int) throws(CommandError) {
            guard type.count > 1, type[0] == UInt8(ascii: "i") || type[0] == UInt8(ascii: "u"),
                let width = type[1..<type.count].integer, width >= 1, width <= (type[0] == UInt8(ascii: "i") ? 64 : 63)
            else {
                throw CommandError(
                    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.")
            }
            isSigned = type[0] == UInt8(ascii: "i")
            self.width = Int(width)
            // "#3" is the fourth in an array of such fields.
            let counted = at.count > 0 && at[0] == UInt8(ascii: "#")
            guard let number = (counted ? at[1..<at.count] : at).integer,
                case let (bits, overflow) = number.multipliedReportingOverflow(by: counted ? width : 1),
                !overflow, bits >= 0, bits >> 3 < Int64(limit)
            else { throw CommandError("ERR bit offset is not an integer or out of range") }
            offset = Int(bits)
        }

        /// Bytes that a string has which just holds the field.
        var end: Int { (offset + width - 1) >> 3 + 1 }

        private var range: ClosedRange<Int128> {
            let one: Int128 = 1
            return isSigned ? -(one << (width - 1))...(one << (width - 1)) - 1 : 0...(one << width) - 1
        }

        /// What SET's number counts as: an unsigned field takes a negative one for a large one. Before saturation, Redis
        /// takes a number that lies further below a signed field's highest value than a word counts for one above it.
        func value(of number: Int64, saturates: Bool) -> Int128 {
            guard isSigned else { return Int128(UInt64(bitPattern: number)) }
            let wrapsRound = saturates && width < 64 && range.upperBound - Int128(number) > Int128(Int64.max)
            return wrapsRound ? range.upperBound + 1 : Int128(number)
        }

        /// `value`, or what an overflow makes of it: its lowest bits, nothing, or else the nearest limit.
        func fitted(_ value: Int128, _ wraps: Bool, _ fails: Bool) -> Int64? {
            if range.contains(value) { return Int64(truncatingIfNeeded: value) }
            if fails { return nil }
            if !wraps { return Int64(truncatingIfNeeded: value < 0 ? range.lowerBound : range.upperBound) }
            return extended(UInt64(truncatingIfNeeded: value) << UInt64(64 - width))
        }

        /// The field's value from the highest bits of a word.
        private func extended(_ word: UInt64) -> Int64 {
            isSigned
                ? Int64(bitPattern: word) >> Int64(64 - width) : Int64(truncatingIfNeeded: word >> UInt64(64 - width))
        }

        /// Bits behind the end of the string are zero.
        func read(_ bytes: Bytes) -> Int64 {
            let first = offset >> 3
            let shift = UInt64(offset & 7)
            var word: UInt64 = 0
            for i in 0..<8 { word = word << 8 | UInt64(first + i < bytes.count ? bytes[first + i] : 0) }
            let ninth = first + 8 < bytes.count ? bytes[first + 8] : 0
            return extended(word << shift | UInt64(ninth) >> (8 - shift))
        }

        /// The string reaches to the field's end.
        func write(_ value: Int64, _ bytes: UnsafeMutableRawBufferPointer) {
            var bits = UInt64(bitPattern: value)
            var left = width
            var i = end - 1
            // From the last byte to the first; the field ends `spare` bits before the end of the byte.
            var spare = (end << 3) - (offset + width)
            while left > 0 {
                let here = min(8 - spare, left)
                let mask: UInt8 = (0xff >> UInt8(8 - here)) << UInt8(spare)
                bytes[i] = bytes[i] & ~mask | UInt8(truncatingIfNeeded: bits << UInt64(spare)) & mask
                bits >>= UInt64(here)
                left -= here
                spare = 0
                i -= 1
            }
        }
    }
}

extension Bytes {
    fileprivate init?(_ buffer: UnsafeMutableRawBufferPointer) {
        guard let base = buffer.baseAddress else { return nil }
        self.init(base, buffer.count)
    }
}
