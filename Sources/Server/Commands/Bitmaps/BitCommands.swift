import Storage

// Invariant of this file: eight bytes are loaded at once only where the last of them is before the last byte of the
// range, which lies within the string.

/// Strings as arrays of bits, the highest bit of a byte first.
enum BitCommands {
    static var table: [Command] {
        CommandGroup.bitmap.rows([
            .read(
                "getbit", 3, .fast, [.key(.roAccess)], "2.2.0", "key offset:i", "Returns one bit of a string.", getbit),
            .write(
                "setbit", 4, .denyoom, [.key(.rwAccessUpdate)], "2.2.0", "key offset:i value:i",
                "Sets or clears one bit of a string and returns the previous one.", setbit),
            .read(
                "bitcount", -2, [], [.key(.roAccess)], "2.6.0",
                "key [index{start:i end:i [index_unit(BYTE|BIT)@7.0.0]}]", "Counts the bits of a string that are set.",
                bitcount
            ).complexity("O(N) for N bytes").history(("7.0.0", "Accepts `BYTE` and `BIT`.")),
            .read(
                "bitpos", -3, [], [.key(.roAccess)], "2.8.7",
                "key bit:i [index{start:i [end_index{end:i [index_unit(BYTE|BIT)@7.0.0]}]}]",
                "Finds the first bit of a string that is set, or clear.", bitpos
            ).complexity("O(N) for N bytes").history(("7.0.0", "Accepts `BYTE` and `BIT`.")),
        ])
    }

    private static func offset(_ text: Bytes, limit: Int) throws(CommandError) -> Int {
        guard let offset = text.integer, offset >= 0, offset >> 3 < Int64(limit) else {
            throw CommandError("ERR bit offset is not an integer or out of range")
        }
        return Int(offset)
    }

    private static func bit(_ value: Bytes, _ offset: Int) -> Bool {
        value.count > offset >> 3 && value[offset >> 3] & (0x80 >> UInt8(offset & 7)) != 0
    }

    private static func getbit(_ c: ReadContext) throws(CommandError) {
        let offset = try offset(c.args[2], limit: c.maximumBulkLength)
        c.reply.integer(try c.string(c.args[1]).map { bit($0, offset) } == true ? 1 : 0)
    }

    private static func setbit(_ c: WriteContext) throws(CommandError) {
        let offset = try offset(c.args[2], limit: c.maximumBulkLength)
        guard let number = c.args[3].integer, number & ~1 == 0 else {
            throw CommandError("ERR bit is not an integer or out of range")
        }
        let value = try c.string(c.args[1]) ?? Bytes()
        let old = bit(value, offset)
        let inside = value.count > offset >> 3
        c.reply.integer(old ? 1 : 0)
        if inside && old == (number == 1) { return }
        let mask = UInt8(0x80) >> UInt8(offset & 7)
        let byte = inside ? value[offset >> 3] : 0
        withUnsafeBytes(of: number == 1 ? byte | mask : byte & ~mask) { changed in
            guard let base = changed.baseAddress else { return }
            c.db.setRange(c.args[1], offset >> 3, Bytes(base, 1))
            c.changed(c.args[1], .string, "setbit")
        }
    }

    // MARK: - Ranges

    /// "start end [BYTE | BIT]", in bits; the arguments after `at - 1` are all optional.
    private struct BitRange {
        let start: Int64
        let end: Int64
        let inBits: Bool
        /// Whether the caller said where to end.
        let isClosed: Bool

        /// From behind the end to before it, though both may become the first byte.
        var isBackward: Bool { start < 0 && end < 0 && start > end }

        /// `unitFirst`: a wrong unit is told before a wrong end.
        init(_ args: Arguments, at index: Int, unitFirst: Bool) throws(CommandError) {
            if args.count > index + 3 { throw .syntax }
            start = args.count > index ? try args.integer(index) : 0
            let unit = args.count > index + 2 ? args[index + 2] : Bytes("byte")
            inBits = unit.equals(ignoringCase: "bit")
            let isUnit = inBits || unit.equals(ignoringCase: "byte")
            if unitFirst && !isUnit { throw .syntax }
            isClosed = args.count > index + 1
            end = isClosed ? try args.integer(index + 1) : -1
            // Nothing is there to count backwards, whatever the unit is.
            if !isUnit && !isBackward { throw .syntax }
        }

        /// The bits meant in a string of `count` bytes.
        func bits(count: Int) -> Range<Int> {
            if inBits { return indexRange(start, end, count: count * 8) }
            let bytes = indexRange(start, end, count: count)
            return bytes.lowerBound * 8..<bytes.upperBound * 8
        }
    }

    /// The bits of the byte at `index` that lie in `range`.
    private static func mask(_ index: Int, _ range: Range<Int>) -> UInt8 {
        let skipped = max(0, range.lowerBound - index * 8)
        let dropped = max(0, index * 8 + 8 - range.upperBound)
        return skipped + dropped >= 8 ? 0 : (0xff >> UInt8(skipped)) & (0xff << UInt8(dropped))
    }

    private static func bitcount(_ c: ReadContext) throws(CommandError) {
        guard let value = try c.string(c.args[1]) else { return c.reply.integer(0) }
        if c.args.count == 3 { throw .syntax }
        let options = try BitRange(c.args, at: 2, unitFirst: false)
        let range = options.bits(count: value.count)
        // Not so BITPOS.
        if range.isEmpty || options.isBackward { return c.reply.integer(0) }
        let first = range.lowerBound >> 3
        let last = (range.upperBound - 1) >> 3
        var count = (value[first] & mask(first, range)).nonzeroBitCount
        if last > first {
            count += (value[last] & mask(last, range)).nonzeroBitCount + BitCounting.count(value[first + 1..<last])
        }
        c.reply.integer(count)
    }

    private static func bitpos(_ c: ReadContext) throws(CommandError) {
        let wanted = try c.args.integer(2)
        guard wanted & ~1 == 0 else { throw CommandError("ERR The bit argument must be 1 or 0.") }
        guard let value = try c.string(c.args[1]) else { return c.reply.integer(wanted == 0 ? 0 : -1) }
        let options = try BitRange(c.args, at: 3, unitFirst: true)
        let range = options.bits(count: value.count)
        let flip: UInt8 = wanted == 1 ? 0 : 0xff
        if !range.isEmpty {
            let skipped: UInt64 = wanted == 1 ? 0 : .max
            let last = (range.upperBound - 1) >> 3
            var i = range.lowerBound >> 3
            while i <= last {
                if i + 8 <= last, i * 8 >= range.lowerBound,
                    value.base.loadUnaligned(fromByteOffset: i, as: UInt64.self) == skipped
                {
                    i += 8
                    continue
                }
                let found = (value[i] ^ flip) & mask(i, range)
                if found != 0 { return c.reply.integer(Int64(i * 8 + found.leadingZeroBitCount)) }
                i += 1
            }
            // A string is thought to go on with zeros, unless the caller said where to end.
            if wanted == 0 && !options.isClosed { return c.reply.integer(Int64(value.count * 8)) }
        }
        c.reply.integer(-1)
    }
}
