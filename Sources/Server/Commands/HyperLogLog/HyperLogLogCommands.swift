import Glibc
import Storage

// Invariant of this file: a string is written to only within the bytes that `mutableString` gave, before any other
// call on the keyspace.

/// Counts distinct elements approximately, in a string of at most 12 KB.
enum HyperLogLogCommands {
    static var table: [Command] {
        CommandGroup.hyperloglog.rows([
            .write(
                "pfadd", -2, [.denyoom, .fast], [.key(.rwInsert)], "2.8.9", "key [element...]",
                "Adds elements to a HyperLogLog.", pfadd
            ).complexity("O(1) for each element"),
            .readCaching(
                "pfcount", -2, [],
                [.keys(.rwAccess, note: "RW because the estimate is cached in the value, and propagated.")], "2.8.9",
                "key...", "Estimates how many distinct elements HyperLogLogs have counted.", pfcount
            ).complexity("O(1), and O(N) for N keys"),
            .write(
                "pfmerge", -2, .denyoom, [.key(.rwAccessInsert), .keys(.roAccess, at: 2)], "2.8.9",
                "destkey sourcekey...", "Merges HyperLogLogs into one.", pfmerge
            ).complexity("O(N) for N keys"),
            .write(
                "pfdebug", 3, [.denyoom, .admin], [.key(.rwAccess, at: 2)], "2.8.9", "subcommand key",
                "Shows the internals of a HyperLogLog.", pfdebug
            ).complexity("N/A").systemCommand(),
            .admin("pfselftest", 1, [], "2.8.9", "", "Tests the server's HyperLogLog code.", pfselftest).complexity(
                "N/A"
            ).systemCommand(),
        ])
    }

    private static let notASketch = CommandError("WRONGTYPE Key is not a valid HyperLogLog string value.")
    private static let corrupt = CommandError("INVALIDOBJ Corrupted HLL object detected")

    /// The string of a sketch; nil where the key is missing.
    private static func sketch(_ db: ReadDatabase, _ key: Bytes) throws(CommandError) -> Bytes? {
        guard let value = try db.stringOrRefuse(key) else { return nil }
        guard HyperLogLog.isValid(value) else { throw notASketch }
        return value
    }

    private static func store(_ c: WriteContext, _ key: Bytes, _ sketch: HyperLogLog) {
        c.db.setRaw(key, count: sketch.bytes.count, expiry: .keep) { room in
            sketch.withBytes { _ = memcpy(room, $0.base, $0.count) }
        }
    }

    // MARK: - Adding

    private static func pfadd(_ c: WriteContext) throws(CommandError) {
        let old = try sketch(c.unchanged, c.args[1])
        if let old, HyperLogLog.isDense(old) { return try addToDense(c, old) }
        var sketch = old.map { HyperLogLog($0) } ?? HyperLogLog()
        // The key itself counts as one, as in Redis.
        var changes = old == nil ? 1 : 0
        let limit = c.settings.hllSparseMaxBytes
        for i in 2..<max(2, c.args.count) {
            let (register, value) = HyperLogLog.place(c.args[i])
            switch sketch.raise(register, to: value, sparseLimit: limit) {
            case .none: break
            case .raised: changes += 1
            case .corrupt: throw corrupt
            }
        }
        if changes > 0 {
            sketch.invalidateCardinality()
            store(c, c.args[1], sketch)
            c.changed(c.args[1], .string, "pfadd")
            c.count(as: changes)
        }
        c.reply.integer(changes > 0 ? 1 : 0)
    }

    /// Adds in place, as most elements change nothing.
    private static func addToDense(_ c: WriteContext, _ value: Bytes) throws(CommandError) {
        var bytes: UnsafeMutableRawBufferPointer?
        var value = value
        var changes = 0
        for i in 2..<max(2, c.args.count) {
            let (register, wanted) = HyperLogLog.place(c.args[i])
            if HyperLogLog.register(register, of: value) >= wanted { continue }
            if bytes == nil {
                do { bytes = try c.db.mutableString(c.args[1]) } catch { throw .wrongType }
                // It may have moved.
                if let bytes, let base = bytes.baseAddress { value = Bytes(base, bytes.count) }
            }
            if let bytes { HyperLogLog.store(wanted, register, in: bytes) }
            changes += 1
        }
        if let bytes {
            bytes[15] |= 0x80
            c.changed(c.args[1], .string, "pfadd")
            c.count(as: changes)
        }
        c.reply.integer(bytes == nil ? 0 : 1)
    }

    // MARK: - Counting

    private static func pfcount(_ c: ReadCachingContext) throws(CommandError) {
        if c.args.count > 2 { return try countUnion(c) }
        guard let value = try sketch(c.db, c.args[1]) else { return c.reply.integer(0) }
        if let known = HyperLogLog.cachedCardinality(value) { return c.reply.integer(known) }
        guard let histogram = HyperLogLog.histogram(value) else { throw corrupt }
        let cardinality = HyperLogLog.estimate(histogram)
        c.reply.integer(cardinality)
        // The estimate is kept in the string, and propagated so that the string is the same everywhere.
        do {
            guard let bytes = try c.cache.mutableString(c.args[1]) else { return }
            bytes.storeBytes(of: HyperLogLog.cardinalityField(cardinality), toByteOffset: 8, as: UInt64.self)
        } catch { throw .wrongType }
    }

    private static func countUnion(_ c: ReadCachingContext) throws(CommandError) {
        var union = Union()
        for i in 1..<c.args.count {
            guard let value = try sketch(c.db, c.args[i]) else { continue }
            if !union.add(value) { throw corrupt }
        }
        var histogram = [Int](repeating: 0, count: 64)
        for value in union.registers { histogram[Int(value)] += 1 }
        c.reply.integer(HyperLogLog.estimate(histogram))
    }

    /// The largest value of each register among several sketches.
    private struct Union {
        var registers = [UInt8](repeating: 0, count: HyperLogLog.registerCount)

        /// False where the sketch is corrupt.
        mutating func add(_ value: Bytes) -> Bool {
            var index = 0
            return HyperLogLog.forEachRun(value) { length, value in
                if value > 0 {
                    for i in index..<index + length where registers[i] < UInt8(value) { registers[i] = UInt8(value) }
                }
                index += length
            }
        }
    }

    private static func pfmerge(_ c: WriteContext) throws(CommandError) {
        var union = Union()
        var isDense = false
        for i in 1..<c.args.count {
            guard let value = try sketch(c.reading, c.args[i]) else { continue }
            if HyperLogLog.isDense(value) { isDense = true }
            if !union.add(value) { throw corrupt }
        }
        var result = try sketch(c.unchanged, c.args[1]).map { HyperLogLog($0) } ?? HyperLogLog()
        if isDense, !result.makeDense() { throw corrupt }
        let limit = c.settings.hllSparseMaxBytes
        for (register, value) in union.registers.enumerated() where value > 0 {
            if result.raise(register, to: Int(value), sparseLimit: limit) == .corrupt { throw corrupt }
        }
        result.invalidateCardinality()
        store(c, c.args[1], result)
        c.changed(c.args[1], .string, "pfadd")
        c.reply.ok()
    }

    // MARK: - Looking inside

    private static func pfdebug(_ c: WriteContext) throws(CommandError) {
        guard let value = try sketch(c.unchanged, c.args[2]) else {
            throw CommandError("ERR The specified key does not exist")
        }
        let wasDense = HyperLogLog.isDense(value)
        if c.args[1].equals(ignoringCase: "getreg") {
            let dense = try makeDense(c, value)
            c.reply.array(HyperLogLog.registerCount)
            dense.withBytes { bytes in
                for i in 0..<HyperLogLog.registerCount { c.reply.integer(HyperLogLog.register(i, of: bytes)) }
            }
        } else if c.args[1].equals(ignoringCase: "decode") {
            if wasDense { throw CommandError("ERR HLL encoding is not sparse") }
            let text = decoded(value)
            c.reply.bulk(text.bytes)
        } else if c.args[1].equals(ignoringCase: "encoding") {
            c.reply.simple(wasDense ? "dense" : "sparse")
        } else if c.args[1].equals(ignoringCase: "todense") {
            _ = try makeDense(c, value)
            c.reply.integer(wasDense ? 0 : 1)
        } else {
            throw CommandError(parts: Bytes("ERR Unknown PFDEBUG subcommand '"), c.args[1], Bytes("'"))
        }
    }

    private static func makeDense(_ c: WriteContext, _ value: Bytes) throws(CommandError) -> HyperLogLog {
        var sketch = HyperLogLog(value)
        let wasDense = sketch.isDense
        if !sketch.makeDense() { throw corrupt }
        if !wasDense { store(c, c.args[2], sketch) }
        return sketch
    }

    /// The opcodes in words: `z:` and `Z:` with a length, `v:` with value and length.
    private static func decoded(_ value: Bytes) -> OutputBuffer {
        let text = OutputBuffer()
        var at = HyperLogLog.headerSize
        while at < value.count {
            let second = at + 1 < value.count ? value[at + 1] : nil
            guard let run = HyperLogLog.Run(first: value[at], second: second) else { break }
            if text.count > 0 { text.append(byte: 32) }
            text.append(run.value > 0 ? "v:" : run.size == 2 ? "Z:" : "z:")
            if run.value > 0 {
                text.append(decimal: Int64(run.value))
                text.append(byte: UInt8(ascii: ","))
            }
            text.append(decimal: Int64(run.length))
            at += run.size
        }
        return text
    }

    /// Sparse and dense sketches of the same elements must agree with each other, and with the number of elements.
    private static func pfselftest(_ c: AdminContext) throws(CommandError) {
        var sparse = HyperLogLog()
        var dense = HyperLogLog()
        var intact = dense.makeDense()
        var checkpoint: Int64 = 1
        for element: Int64 in 1...100_000 {
            withDecimal(element) {
                let (register, value) = HyperLogLog.place($0)
                let changed = sparse.raise(register, to: value, sparseLimit: 3000)
                if changed == .corrupt || changed != dense.raise(register, to: value, sparseLimit: 0) { intact = false }
            }
            if element != checkpoint { continue }
            checkpoint *= 10
            let counts = [sparse, dense].map { $0.withBytes { HyperLogLog.histogram($0).map(HyperLogLog.estimate) } }
            // Six standard errors of 1.04 / sqrt(16384); of ten elements, as good as exact.
            let slack = element < 10 ? 0 : Int64((Double(element) * 0.0081 * 6).rounded(.up))
            guard let count = counts[0], counts[1] == count, abs(count - element) <= slack else {
                intact = false
                break
            }
        }
        if !intact { throw CommandError("ERR TESTFAILED a HyperLogLog does not hold what was added") }
        c.reply.ok()
    }
}
