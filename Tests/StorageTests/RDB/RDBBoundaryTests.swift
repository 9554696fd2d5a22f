import TestSupport
import Testing

@testable import Storage

/// Every form of a length, an integer, a string, a flat list and an expiry in RDB files, one below, at and one above each
/// boundary between two forms: written as the format says, and read back.
@Suite struct RDBBoundaryTests {
    private func read(_ file: RDBBuilder) throws -> RecordingVisitor {
        let directory = TemporaryDirectory()
        let reader = try RDBReader(path: directory.write(file.finished()), visitor: RecordingVisitor())
        try reader.read()
        return reader.visitor
    }
    private func written(compresses: Bool = false, version: Int = 10, _ body: (RDBWriter) -> Void) -> [UInt8] {
        let output = RDBOutput()
        body(RDBWriter(output, version: version, compresses: compresses))
        return output.bytes.array
    }
    private static func bigEndian(_ n: UInt64, _ bytes: Int) -> [UInt8] {
        (0..<bytes).map { UInt8(truncatingIfNeeded: n >> UInt64(8 * (bytes - 1 - $0))) }
    }
    private static func littleEndian(_ n: Int64, _ bytes: Int) -> [UInt8] {
        (0..<bytes).map { UInt8(truncatingIfNeeded: n >> Int64(8 * $0)) }
    }

    // MARK: Lengths

    /// The forms that hold `n`, the shortest first.
    private static func lengthForms(_ n: UInt64) -> [[UInt8]] {
        var forms: [[UInt8]] = []
        if n < 64 { forms.append([UInt8(n)]) }
        if n < 16384 { forms.append([0x40 | UInt8(n >> 8), UInt8(n & 255)]) }
        if n < 1 << 32 { forms.append([0x80] + bigEndian(n, 4)) }
        forms.append([0x81] + bigEndian(n, 8))
        return forms
    }
    static let lengths: [UInt64] = [
        0, 1, 62, 63, 64, 65, 255, 256, 257, 16382, 16383, 16384, 16385, 65535, 65536, 65537, 1 << 24, (1 << 31) - 1,
        1 << 31, (1 << 31) + 1, (1 << 32) - 2, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, (1 << 53) + 1, (1 << 63) - 1,
    ]

    @Test(arguments: lengths) func lengthIsWrittenInItsShortestForm(_ n: UInt64) {
        #expect(written { $0.length(Int(n)) } == Self.lengthForms(n)[0])
    }

    /// In the counts and ids of a stream, where a length is only a number.
    @Test(arguments: lengths) func lengthIsReadInEveryForm(_ n: UInt64) throws {
        for form in Self.lengthForms(n) {
            var file = RDBBuilder()
            file.key(19, "x")
            // No node, no entry; last id, first id, largest deleted id, entries added; no group.
            file.raw([0, 0] + form + [7] + [0, 0] + form + [9] + form + [0])
            let found = try #require(try read(file).values["0:x"])
            #expect(found.content == ["state \(n)-7 \(n)-9 \(n)"])
        }
    }

    @Test func countBeyondInt64IsRefused() {
        var file = RDBBuilder()
        file.key(19, "x")
        file.raw([0, 0, 1, 1, 0, 0, 0, 0, 0x81] + Self.bigEndian(1 << 63, 8) + [0])
        #expect(throws: StorageError.self) { try read(file) }
    }

    @Test(arguments: [0x82, 0x83, 0xBF] as [UInt8]) func otherHeadIsNoLength(_ head: UInt8) {
        var file = RDBBuilder()
        file.key(19, "x")
        file.raw([0, 0, head, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(throws: StorageError.self) { try read(file) }
    }

    @Test(arguments: [0, 1, 62, 63, 64, 65, 16382, 16383, 16384, 16385, 70_000])
    func stringOfALength(_ count: Int) throws {
        // Not compressed, and no integer.
        let text = String(repeating: "x", count: count)
        let plain = Self.lengthForms(UInt64(count))[0] + Array(text.utf8)
        #expect(written { $0.string(text) } == plain)
        for form in Self.lengthForms(UInt64(count)) {
            var file = RDBBuilder()
            file.key(0, "s")
            file.raw(form + Array(text.utf8))
            #expect(try read(file).values["0:s"]?.content == [text])
        }
    }

    /// A collection's number of elements in each form.
    @Test(arguments: [1, 63, 64, 16383, 16384] as [UInt64]) func elementCount(_ count: UInt64) throws {
        for form in Self.lengthForms(count) {
            var file = RDBBuilder()
            file.key(1, "l")
            file.raw(form)
            for i in 0..<Int(count) { file.string("e\(i)") }
            #expect(try read(file).values["0:l"]?.content == (0..<Int(count)).map { "e\($0)" })
        }
    }

    // MARK: Strings

    @Test(arguments: [
        (Int64(-129), 2), (-128, 1), (-127, 1), (-1, 1), (0, 1), (126, 1), (127, 1), (128, 2), (-32769, 4), (-32768, 2),
        (-32767, 2), (32766, 2), (32767, 2), (32768, 4), (-2_147_483_649, 0), (-2_147_483_648, 4), (-2_147_483_647, 4),
        (2_147_483_646, 4), (2_147_483_647, 4), (2_147_483_648, 0), (.max, 0), (.min, 0),
    ])
    func integerAsString(_ value: Int64, bytes: Int) throws {
        let text = "\(value)"
        let expected: [UInt8]
        switch bytes {
        case 1: expected = [0xC0] + Self.littleEndian(value, 1)
        case 2: expected = [0xC1] + Self.littleEndian(value, 2)
        case 4: expected = [0xC2] + Self.littleEndian(value, 4)
        default: expected = [UInt8(text.utf8.count)] + Array(text.utf8)
        }
        #expect(written { $0.string(text) } == expected)
        #expect(written { $0.string(value) } == expected)
        var file = RDBBuilder()
        file.key(0, "s")
        file.raw(expected)
        #expect(try read(file).values["0:s"]?.content == [text])
    }

    @Test(arguments: ["", "-", "-0", "+1", "01", "-01", "1 ", " 1", "1.0", "0x1", "00"])
    func almostAnInteger(_ text: String) {
        #expect(written { $0.string(text) } == [UInt8(text.utf8.count)] + Array(text.utf8))
    }

    /// Redis compresses strings of more than 20 bytes.
    @Test(arguments: [19, 20, 21, 22, 63, 64, 65, 16383, 16384, 16385, 100_000]) func compression(_ count: Int) throws {
        let text = String(repeating: "a", count: count)
        let bytes = written(compresses: true) { $0.string(text) }
        #expect((bytes[0] == 0xC3) == (count > 20))
        if count > 20 { #expect(bytes.count < count) }
        var file = RDBBuilder()
        file.key(0, "s")
        file.raw(bytes)
        #expect(try read(file).values["0:s"]?.content == [text])
    }

    // MARK: Flat lists

    /// An element of a listpack: what its entry must be without the length at its end, by the format.
    private static func entry(_ element: String) -> [UInt8] {
        if let n = Int64(element), String(n) == element {
            switch n {
            case 0...127: return [UInt8(n)]
            case -4096...4095: return [0xC0 | UInt8(n >> 8 & 0x1F), UInt8(n & 0xFF)]
            case -32768...32767: return [0xF1] + littleEndian(n, 2)
            case -8_388_608...8_388_607: return [0xF2] + littleEndian(n, 3)
            case -2_147_483_648...2_147_483_647: return [0xF3] + littleEndian(n, 4)
            default: return [0xF4] + littleEndian(n, 8)
            }
        }
        let text = Array(element.utf8)
        if text.count < 64 { return [0x80 | UInt8(text.count)] + text }
        if text.count < 4096 { return [0xE0 | UInt8(text.count >> 8), UInt8(text.count & 0xFF)] + text }
        return [0xF0] + littleEndian(Int64(text.count), 4) + text
    }
    /// The length of an entry, in groups of 7 bits, to be read from its end. As in Redis the largest length that two or three
    /// groups could hold takes one more.
    private static func backLength(_ n: Int) -> [UInt8] {
        let groups = n <= 127 ? 1 : n < 16383 ? 2 : n < 2_097_151 ? 3 : 4
        return (0..<groups).map { group in
            UInt8(n >> (7 * (groups - 1 - group)) & 127) | (group == 0 ? 0 : 128)
        }
    }
    static let elements: [String] = {
        var found: [String] = []
        for boundary in [0, 127, 4095, 4096, 32767, 32768, 8_388_607, 8_388_608, 2_147_483_647, 2_147_483_648]
            as [Int64]
        {
            for n in [boundary - 1, boundary, boundary + 1] { found += ["\(n)", "\(-n)"] }
        }
        found += ["\(Int64.max)", "\(Int64.min)", "9223372036854775808", "-9223372036854775809", "01", "-0", ""]
        // Of the text; an entry's own length has boundaries at 127, 16383 and 2097151.
        for boundary in [63, 4095, 125, 127, 16377, 16383, 2_097_146, 2_097_151] {
            for count in boundary - 1...boundary + 2 { found.append(String(repeating: "s", count: count)) }
        }
        return found
    }()

    @Test func listpackEntries() throws {
        for element in Self.elements {
            var pack = Listpack.allocate()
            defer { pack.free() }
            // Between others, so that what follows is found from both sides.
            for text in ["before", element, "after"] { Array(text.utf8).withBytes { pack.append($0) } }
            var expected: [UInt8] = []
            for text in ["before", element, "after"] {
                let entry = Self.entry(text)
                expected += entry + Self.backLength(entry.count)
            }
            let bytes = pack.bytes.array
            #expect(Array(bytes[6..<bytes.count - 1]) == expected, "\(element.prefix(30)) (\(element.utf8.count))")
            withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { scratch in
                let base = scratch.baseAddress.unsafelyUnwrapped
                let last = pack.last
                #expect(last.map { pack.value(at: $0, scratch: base).string } == "after")
                let middle = last.flatMap { pack.previous($0) }
                #expect(middle.map { pack.value(at: $0, scratch: base).string } == element)
            }
            var file = RDBBuilder()
            file.key(20, "set")
            file.string(bytes)
            #expect(try read(file).values["0:set"]?.content == ["before", element, "after"])
        }
    }

    @Test(arguments: [
        (2, Int64(Int16.min), Int64(Int16.max)), (4, Int64(Int32.min), Int64(Int32.max)), (8, Int64.min, Int64.max),
    ])
    func intset(width: Int, least: Int64, most: Int64) throws {
        let values = [least, least + 1, -1, 0, 1, most - 1, most]
        let bytes =
            Self.littleEndian(Int64(width), 4) + Self.littleEndian(7, 4)
            + values.flatMap { Self.littleEndian($0, width) }
        var file = RDBBuilder()
        file.key(11, "s")
        file.string(bytes)
        #expect(try read(file).values["0:s"]?.content == values.map { "\($0)" })
        // And as our sets make it: the width that the widest needs.
        let keyspace = Keyspace(databases: 1)
        for (more, wider) in [(least, width), (most, width), (least &- 1, 2 * width), (most &+ 1, 2 * width)] {
            if width == 8 && wider == 16 { continue }
            let database = keyspace.databases[0]
            let key = Text("s\(more)")
            let editor = try #require(try database.editSet(key.bytes, create: true))
            for value in [0, more] { _ = editor.insert(Text("\(value)").bytes) }
            var payload: [UInt8] = []
            DumpPayload.of(editor.entry, compresses: false) { payload = $0.array }
            // Type, length, then the intset's width.
            #expect(payload[0] == 11)
            #expect(payload[2] == UInt8(wider), "\(more)")
        }
    }

    // MARK: Expiries

    @Test(arguments: [0, 1, 63, 64, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1] as [UInt64])
    func expiryInSeconds(_ seconds: UInt64) throws {
        var file = RDBBuilder()
        file.raw([253] + Self.littleEndian(Int64(seconds), 4))
        file.key(0, "k")
        file.string("v")
        let found = try read(file).values["0:k"]?.expiresMs
        // Signed, as in Redis.
        #expect(found == Int64(Int32(truncatingIfNeeded: seconds)) * 1000)
    }

    @Test(
        arguments: [0, 1, 999, 1000, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 41) + 1, (1 << 62)]
            as [Int64])
    func expiryInMilliseconds(_ ms: Int64) throws {
        var file = RDBBuilder()
        file.raw([252] + Self.littleEndian(ms, 8))
        file.key(0, "k")
        file.string("v")
        file.key(0, "next")
        file.string("w")
        let found = try read(file).values
        #expect(found["0:k"]?.expiresMs == ms)
        #expect(found["0:next"] == .init(type: .string, content: ["w"]))
    }

    // MARK: Streams

    /// Each version's form with a group, a consumer and a pending entry.
    @Test(arguments: [(15, 1), (19, 2), (21, 3)] as [(UInt8, Int)]) func streamForms(type: UInt8, version: Int) throws {
        let master = Self.bigEndian(5, 8) + Self.bigEndian(1, 8)
        // One entry, none deleted, one name of a field, 0; flags 2 (the node's fields), ms and seq from the master, the
        // value, and how many elements the entry has.
        let node = RDBBuilder.listpack(["1", "0", "1", "f", "0", "2", "0", "0", "v", "4"])
        var file = RDBBuilder()
        file.key(type, "x")
        file.length(1)
        file.string(master)
        file.string(node)
        file.raw([1, 5, 1])
        if version >= 2 { file.raw([5, 1, 4, 2, 9]) }
        file.raw([1])
        file.string("group")
        file.raw([5, 1])
        if version >= 2 { file.raw([1]) }
        file.raw([1])
        file.raw(master)
        file.fixed64(77_000)
        file.raw([0x40, 64])
        file.raw([1])
        file.string("consumer")
        file.fixed64(88_000)
        if version >= 3 { file.fixed64(99_000) }
        file.raw([1])
        file.raw(master)
        let content = try #require(try read(file).values["0:x"]).content
        #expect(content.first == "5-1 f v")
        #expect(content.contains(version == 1 ? "state 5-1 0-0 1" : "state 5-1 4-2 9"), "\(content)")
        #expect(content.contains { $0.hasPrefix("group ") && $0.contains("group 5-1 1") }, "\(content)")
        #expect(content.contains { $0.hasPrefix("consumer ") && $0.contains("consumer 88000") }, "\(content)")
        #expect(content.contains { $0.hasPrefix("pending ") && $0.hasSuffix("5-1 77000 64") }, "\(content)")
        if version == 3 { #expect(content.contains { $0.hasSuffix("consumer 88000 99000") }, "\(content)") }
    }

    /// How many groups, consumers and pending entries there are, in each form of a length.
    @Test(arguments: [1, 63, 64, 65] as [UInt64]) func streamGroups(_ count: UInt64) throws {
        var file = RDBBuilder()
        file.key(21, "x")
        file.raw([0, 0, 9, 9, 0, 0, 0, 0, 0])
        file.raw(Self.lengthForms(count)[0])
        for i in 0..<count {
            file.string("g\(i)")
            // Last id, entries read (unknown), nothing pending, as many consumers.
            file.raw([9, 9, 0x81] + [UInt8](repeating: 255, count: 8) + [0] + Self.lengthForms(i == 0 ? count : 0)[0])
            if i > 0 { continue }
            for j in 0..<count {
                file.string("c\(j)")
                file.fixed64(1)
                file.fixed64(2)
                file.raw([0])
            }
        }
        let content = try #require(try read(file).values["0:x"]).content
        #expect(content.count { $0.hasPrefix("group ") && $0.hasSuffix("9-9 -1") } == count)
        #expect(content.count { $0.hasPrefix("consumer ") } == count)
    }

    // MARK: The file

    @Test(arguments: ["0001", "0004", "0005", "0009", "0012"]) func knownVersion(_ version: String) throws {
        var file = RDBBuilder(version: version)
        file.key(0, "k")
        file.string("v")
        // A checksum from version 5 on.
        let bytes = version < "0005" ? file.bytes + [255] : file.finished()
        let directory = TemporaryDirectory()
        let reader = try RDBReader(path: directory.write(bytes), visitor: RecordingVisitor())
        #expect(try reader.read().keys == 1)
        if version >= "0005" {
            var damaged = bytes
            damaged[bytes.count - 1] ^= 1
            let other = try RDBReader(path: directory.write(damaged), visitor: RecordingVisitor())
            #expect(throws: StorageError.self) { try other.read() }
        }
    }

    @Test(arguments: [(252, 8), (253, 4)] as [(UInt8, Int)]) func expiryThatIsCut(opcode: UInt8, bytes: Int) throws {
        let directory = TemporaryDirectory()
        for count in 0..<bytes {
            let empty = RDBBuilder()
            let file = empty.bytes + [opcode] + [UInt8](repeating: 1, count: count)
            let reader = try RDBReader(path: directory.write(file), visitor: RecordingVisitor())
            #expect(throws: StorageError.self) { try reader.read() }
        }
    }
}
