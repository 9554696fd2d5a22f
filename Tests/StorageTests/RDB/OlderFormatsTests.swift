import TestSupport
import Testing

@testable import Storage

@Suite struct OlderFormatsTests {
    private func ziplist(_ bytes: Bytes) -> (elements: [String], damage: Int?) {
        withUnsafeTemporaryAllocation(byteCount: 24, alignment: 1) { scratch in
            var out: [String] = []
            guard let room = scratch.baseAddress else { return ([], 0) }
            let damage = Ziplist.forEach(bytes, scratch: room) {
                out.append($0.string)
                return true
            }
            return (out, damage)
        }
    }
    private func zipmap(_ bytes: Bytes) -> (pairs: [String], damage: Int?) {
        var out: [String] = []
        let damage = Zipmap.forEach(bytes) {
            out.append($0.string)
            out.append($1.string)
            return true
        }
        return (out, damage)
    }

    // MARK: - Ziplist

    /// A list of every integer encoding, as a server of RDB version 4 wrote it.
    private let integers = FlatFormat.bytes(
        "550000004a000000180000f102f202f302f402f502f602f702f802f902fa02fb02fc02fd02fefe03fe0d03fe19"
            + "03fec303fe3f03c0fc3f04"
            + "c080c104f0ffff0005f00d00ff05f000004005e0ffffffffffffff7fff")
    private let integerValues =
        (0...12).map { String($0) } + [
            "-2", "13", "25", "-61", "63", "16380", "-16000", "65535", "-65523", "4194304", "9223372036854775807",
        ]

    /// A sorted set: strings, one 16-bit integer, scores. From such a server too.
    private let scores = FlatFormat.bytes(
        "900000008800000006000020386236626136373138613738366461656661363934333831343833363139303122c00100042063"
            + "623761323462623735323866393334623834316233346333613733653063372212322e33373030303030303030303030303031"
            + "142035323361663533373934366237396334663833363965643339626137383630352205332e343233ff")

    @Test func ziplistOfIntegers() {
        let read = withBytes(integers, ziplist)
        #expect(read.damage == nil && read.elements == integerValues)
    }

    @Test func ziplistOfMembersAndScores() {
        let read = withBytes(scores, ziplist)
        #expect(read.damage == nil)
        #expect(
            read.elements == [
                "8b6ba6718a786daefa69438148361901", "1", "cb7a24bb7528f934b841b34c3a73e0c7", "2.3700000000000001",
                "523af537946b79c4f8369ed39ba78605", "3.423",
            ])
    }

    @Test func ziplistOfStrings() {
        let raw = FlatFormat.bytes(
            "560000001200000002000006616a32343130084040636339353361313761386530393665373661343431363961"
                + "64336639616338376335"
                + "663832343861343033323734343136313739616139666264383532333434ff")
        let read = withBytes(raw, ziplist)
        #expect(read.damage == nil)
        #expect(read.elements == ["aj2410", "cc953a17a8e096e76a44169ad3f9ac87c5f8248a403274416179aa9fbd852344"])
    }

    /// Wide sizes, all string encodings, 32-bit and 8-bit integers; put together here.
    private func madeZiplist(_ values: [[UInt8]]) -> [UInt8] {
        func raw(_ value: Int, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        var body: [UInt8] = []
        var last = 10
        var previous = 0
        for (i, value) in values.enumerated() {
            var entry = previous < 254 && i % 3 != 1 ? [UInt8(previous)] : [254] + raw(previous, 4)
            let n = value.count
            if let number = withBytes(value, { $0.integer }).flatMap({ Int32(exactly: $0) }) {
                entry += [0xD0] + raw(Int(number), 4)
            } else if n < 64 {
                entry += [UInt8(n)] + value
            } else if n < 16384 {
                entry += [0x40 | UInt8(n >> 8), UInt8(n & 0xFF)] + value
            } else {
                entry += [0x80] + raw(n, 4).reversed() + value
            }
            last = 10 + body.count
            previous = entry.count
            body += entry
        }
        return raw(11 + body.count, 4) + raw(last, 4) + raw(values.count, 2) + body + [0xFF]
    }

    @Test func ziplistOfEveryLength() {
        let values = [0, 1, 63, 64, 253, 300, 16383, 16384, 70000].map { [UInt8](repeating: 120, count: $0) }
        let numbers = ["-2147483648", "7", "70000"].map { Array($0.utf8) }
        let all = values + numbers + values.reversed()
        let memory = FlatFormat.GuardedMemory(capacity: 1 << 19)
        let read = ziplist(memory.hold(madeZiplist(all)))
        #expect(read.damage == nil && read.elements.map { Array($0.utf8) } == all)
    }

    @Test func ziplistStops() {
        let made = madeZiplist([[97], [98], [99]])
        let seen = withUnsafeTemporaryAllocation(byteCount: 24, alignment: 1) { scratch in
            guard let room = scratch.baseAddress else { return -1 }
            var n = 0
            _ = withBytes(made) {
                Ziplist.forEach($0, scratch: room) { _ in
                    n += 1
                    return n < 2
                }
            }
            return n
        }
        #expect(seen == 2)
    }

    @Test(arguments: [
        ("", 0), ("7878787878", 0), ("0b0000000a0000000000fe", 10), ("0b0000000a0000000100ff", 8),
        ("0b0000000b0000000000ff", 4), ("0d0000000a0000000100" + "01f1ff", 10), ("0d0000000a0000000100" + "00ffff", 10),
        ("0d0000000a0000000100" + "0001ff", 10), ("0d0000000a0000000100" + "00c0ff", 10),
        ("0d0000000a0000000100" + "fe00ff", 10), ("0e0000000a0000000100" + "008000ff", 10),
    ])
    func ziplistDamage(hex: String, offset: Int) {
        let memory = FlatFormat.GuardedMemory(capacity: 64)
        #expect(ziplist(memory.hold(FlatFormat.bytes(hex))).damage == offset)
    }

    @Test func ziplistRandomDamage() {
        var random = SeededRandom()
        let memory = FlatFormat.GuardedMemory(capacity: 4096)
        for i in 0..<6000 {
            let bytes = memory.hold(FlatFormat.damaged(i % 2 == 0 ? integers : scores, &random))
            let read = ziplist(bytes)
            #expect(read.elements.count <= bytes.count && (read.damage ?? 0) <= bytes.count)
        }
    }

    // MARK: - Zipmap

    private let map = FlatFormat.bytes("02064d4b4431473601003205594e4e584b040046375449ff")

    @Test func zipmapOfAServer() {
        let read = withBytes(map, zipmap)
        #expect(read.damage == nil && read.pairs == ["MKD1G6", "2", "YNNXK", "F7TI"])
    }

    @Test func zipmapLongAndUnused() {
        let long = [UInt8](repeating: 120, count: 300)
        // Three unused bytes after the first value; a wide length; more pairs than the first byte tells.
        let raw: [UInt8] = [254, 1, 97, 2, 3, 98, 99, 0, 0, 0, 254, 44, 1, 0, 0] + long + [0, 0, 255]
        let memory = FlatFormat.GuardedMemory(capacity: 4096)
        let read = zipmap(memory.hold(raw))
        #expect(read.damage == nil && read.pairs == ["a", "bc", String(repeating: "x", count: 300), ""])
        #expect(zipmap(memory.hold([0, 255])).damage == nil)
    }

    @Test(arguments: [
        ("", 0), ("ff", 0), ("0000", 1), ("01ff", 0), ("010161ff", 1), ("01016101ff", 1), ("0101610100ff", 1),
        ("010161010562ff", 1), ("01fe010000ff", 1), ("0001610100" + "62ff", 0), ("010161010062" + "ffff", 6),
        ("010161fe01000000ff", 1),
    ])
    func zipmapDamage(hex: String, offset: Int) {
        let memory = FlatFormat.GuardedMemory(capacity: 64)
        #expect(zipmap(memory.hold(FlatFormat.bytes(hex))).damage == offset)
    }

    @Test func zipmapRandomDamage() {
        var random = SeededRandom()
        let memory = FlatFormat.GuardedMemory(capacity: 4096)
        for _ in 0..<6000 {
            let bytes = memory.hold(FlatFormat.damaged(map, &random))
            let read = zipmap(bytes)
            #expect(read.pairs.count <= bytes.count && (read.damage ?? 0) <= bytes.count)
        }
    }
}
