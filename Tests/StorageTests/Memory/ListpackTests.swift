import Glibc
import TestSupport
import Testing

@testable import Storage

@Suite final class ListpackTests {
    private let scratch = UnsafeMutableRawPointer.allocate(byteCount: 24, alignment: 1)

    deinit { scratch.deallocate() }

    private func pack(_ elements: [[UInt8]]) -> Listpack {
        var pack = Listpack.allocate()
        for element in elements { withBytes(element) { pack.append($0) } }
        return pack
    }
    private func elements(_ pack: Listpack) -> [[UInt8]] {
        var out: [[UInt8]] = []
        var at = pack.first
        while let here = at {
            out.append(pack.value(at: here, scratch: scratch).array)
            at = pack.next(here)
        }
        return out
    }
    private func elementsFromTheEnd(_ pack: Listpack) -> [[UInt8]] {
        var out: [[UInt8]] = []
        var at = pack.last
        while let here = at {
            out.append(pack.value(at: here, scratch: scratch).array)
            at = pack.previous(here)
        }
        return out.reversed()
    }
    private func texts(_ list: [String]) -> [[UInt8]] { list.map { Array($0.utf8) } }

    // MARK: - Vectors

    @Test func emptyBlock() {
        var pack = Listpack.allocate()
        defer { pack.free() }
        #expect(pack.bytes.array == [7, 0, 0, 0, 0, 0, 0xFF])
        #expect(pack.isEmpty && pack.count == 0 && pack.first == nil && pack.last == nil)
        #expect(pack.seek(0) == nil && pack.seek(-1) == nil)
        #expect(withBytes([97]) { pack.find($0, from: pack.endOffset) } == nil)
        #expect(pack.remove(at: pack.endOffset, count: 3) == 0)
    }

    /// What redis-server 7.0.15 dumps for a hash of these fields and values in this order.
    @Test func everyEncodingIsRedis() {
        let expected = FlatFormat.bytes(
            "9a0000001c0000017f01dfff02c08002cfff02d00002f1001003f1ffef03f1ff7f03f1008003f200800004f2ff7fff04f2ffff7f04"
                + "f200008004f30000800005f3ffff7fff05f3ffffff7f05f30000008005f4000000800000000009f4ffffff7fff"
                + "ffffff09f4ff"
                + "ffffffffffff7f09f4000000000000008009800181610282303103822d300383787878048b68656c6c6f20776f726c640cff"
        )
        let values = texts([
            "0", "127", "-1", "128", "4095", "-4096", "4096", "-4097", "32767", "-32768", "32768", "-32769", "8388607",
            "-8388608", "8388608", "-8388609", "2147483647", "-2147483648", "2147483648", "-2147483649",
            "9223372036854775807", "-9223372036854775808", "", "a", "01", "-0", "xxx", "hello world",
        ])
        let made = pack(values)
        defer { made.free() }
        #expect(made.bytes.array == expected)
        #expect(withBytes(expected) { Listpack.validate($0) } == .sound(count: values.count))
        #expect(elements(made) == values && elementsFromTheEnd(made) == values)
    }

    /// Lengths of a string, and the last bytes of a listpack that ends with it, from the same server. At 16378 and
    /// 2097146 the back-length takes a byte more than it would need.
    @Test(arguments: [
        (62, "3fff"), (63, "40ff"), (64, "42ff"), (125, "7fff"), (126, "0180ff"), (127, "0181ff"), (4095, "2081ff"),
        (4096, "2085ff"), (16377, "7ffeff"), (16378, "00ffffff"), (16379, "018080ff"), (2_097_145, "7ffffeff"),
        (2_097_146, "00ffffffff"), (2_097_147, "01808080ff"),
    ])
    func lengthsOfStrings(length: Int, tail: String) {
        let text = [UInt8](repeating: 120, count: length)
        let end = FlatFormat.bytes(tail)
        let made = pack([[102], text, [103]])
        defer { made.free() }
        #expect(withBytes(text) { Listpack.entrySize(of: $0) } == made.byteCount - 7 - 3 - 3)
        #expect(made.bytes.array.dropLast(4).suffix(end.count - 1) == end.dropLast()[...])
        #expect(elements(made) == [[102], text, [103]] && elementsFromTheEnd(made) == [[102], text, [103]])
        #expect(Listpack.validate(made.bytes) == .sound(count: 3))
        #expect(withBytes(text) { made.find($0, from: Listpack.headerSize) } == made.seek(1))
    }

    @Test func foreignButSoundForms() {
        // "5" as a string, 1 in 16 bits, then "ab".
        let raw: [UInt8] = [18, 0, 0, 0, 3, 0, 0x81, 0x35, 2, 0xF1, 1, 0, 3, 0x82, 0x61, 0x62, 3, 0xFF]
        guard let pack = withBytes(raw, Listpack.init(copying:)) else {
            Issue.record("refused")
            return
        }
        defer { pack.free() }
        #expect(elements(pack) == texts(["5", "1", "ab"]))
        #expect(pack.integer(at: 6) == nil && pack.double(at: 6) == 5)
        #expect(withBytes([0x35]) { pack.find($0, from: 6) } == 6)
        #expect(withBytes([0x31]) { pack.find($0, from: 6) } == 9)
        #expect(withBytes([0x35]) { pack.matches(6, $0) })
    }

    @Test func findSkips() {
        let pack = pack(texts(["a", "b", "b", "a", "7", "1", "c", "7", "1", "x"]))
        defer { pack.free() }
        func index(_ text: String, from: Int, skip: Int) -> Int? {
            guard let start = pack.seek(from) else { return nil }
            let found = withBytes(Array(text.utf8)) { pack.find($0, from: start, skip: skip) }
            return (0..<pack.count).first { pack.seek($0) == found }
        }
        #expect(index("b", from: 0, skip: 0) == 1 && index("b", from: 0, skip: 1) == 2)
        #expect(index("7", from: 0, skip: 1) == 4 && index("1", from: 0, skip: 1) == 8)
        #expect(index("x", from: 0, skip: 1) == nil && index("x", from: 1, skip: 1) == 9)
        #expect(index("a", from: 0, skip: 100) == 0 && index("b", from: 0, skip: 100) == nil)
    }

    @Test func integersOfTheirOwnCalls() {
        var pack = Listpack.allocate()
        defer { pack.free() }
        for value in FlatFormat.integers { pack.append(integer: value) }
        for (i, value) in FlatFormat.integers.enumerated() {
            guard let at = pack.seek(i) else { continue }
            #expect(pack.integer(at: at) == value)
            #expect(pack.double(at: at) == Double(value))
        }
        #expect(Listpack.validate(pack.bytes) == .sound(count: FlatFormat.integers.count))
        for (i, value) in FlatFormat.integers.reversed().enumerated() {
            if let at = pack.seek(i) { pack.replace(at: at, withInteger: value) }
        }
        #expect(elements(pack) == FlatFormat.integers.reversed().map { Array(String($0).utf8) })
    }

    @Test func moreThanTheHeaderCounts() {
        var pack = Listpack.allocate()
        defer { pack.free() }
        for i in 0..<70000 { pack.append(integer: Int64(i)) }
        #expect(pack.count == 70000 && pack.headerCount == 65535)
        #expect(Listpack.validate(pack.bytes) == .sound(count: 70000))
        #expect(pack.seek(-1) == pack.last && pack.seek(69999) == pack.last && pack.seek(-70000) == pack.first)
        #expect(pack.seek(70000) == nil && pack.seek(-70001) == nil)
        let tail = pack.seek(30000).map { pack.split(at: $0) }
        #expect(pack.count == 30000 && pack.headerCount == 30000 && tail?.count == 40000)
        if let tail {
            pack.append(entriesOf: tail)
            tail.free()
        }
        #expect(pack.count == 70000 && pack.last.flatMap { pack.integer(at: $0) } == 69999)
        pack.remove(at: Listpack.headerSize, count: 69990)
        #expect(pack.count == 10 && Listpack.validate(pack.bytes) == .sound(count: 10))
        #expect(pack.memoryUsage <= 8192)
        #expect(pack.remove(at: Listpack.headerSize, count: 11) == 10)
        #expect(pack.bytes.array == [7, 0, 0, 0, 0, 0, 0xFF])
    }

    @Test func countReachesUnknown() {
        var pack = Listpack.allocate()
        defer { pack.free() }
        for _ in 0..<65534 { pack.append(integer: 1) }
        #expect(pack.headerCount == 65534)
        pack.append(integer: 1)
        #expect(pack.headerCount == 65535 && pack.count == 65535)
        pack.remove(at: Listpack.headerSize)
        #expect(pack.count == 65534 && Listpack.validate(pack.bytes) == .sound(count: 65534))
    }

    // MARK: - Against a model

    private func element(_ random: inout SeededRandom) -> [UInt8] {
        func text(_ length: Int) -> [UInt8] {
            (0..<length).map { _ in UInt8(random.below(256)) }
        }
        switch random.below(12) {
        case 0...2: return Array(String(random.pick(FlatFormat.integers)).utf8)
        case 3: return Array(String(random.next() >> UInt64(1 + random.below(63))).utf8)
        case 4: return Array(random.pick(["", "-", "-0", "00", "1.5", "+1", " 1", "9223372036854775808"]).utf8)
        case 5: return text(60 + random.below(10))
        case 6: return text(120 + random.below(12))
        case 7: return random.below(20) == 0 ? text(random.pick([4095, 4096, 16377, 16378])) : text(1)
        default: return Array("field:\(random.below(40))".utf8)
        }
    }

    @Test func randomEdits() {
        var random = SeededRandom()
        for _ in 0..<30 {
            var pack = Listpack.allocate()
            var model: [[UInt8]] = []
            for step in 0..<200 {
                edit(&pack, &model, &random)
                guard pack.count == model.count, pack.isEmpty == model.isEmpty else {
                    Issue.record("count at step \(step)")
                    break
                }
                check(pack, model, &random)
                if step % 20 == 0 {
                    #expect(Listpack.validate(pack.bytes) == .sound(count: model.count))
                    #expect(elements(pack) == model && elementsFromTheEnd(pack) == model)
                }
            }
            #expect(elements(pack) == model)
            pack.free()
        }
    }

    private func edit(_ pack: inout Listpack, _ model: inout [[UInt8]], _ random: inout SeededRandom) {
        let value = element(&random)
        let i = model.isEmpty ? 0 : random.below(model.count)
        let at = pack.seek(i) ?? pack.endOffset
        switch random.below(10) {
        case 0...2:
            withBytes(value) { pack.append($0) }
            model.append(value)
        case 3:
            withBytes(value) { pack.prepend($0) }
            model.insert(value, at: 0)
        case 4, 5:
            withBytes(value) { pack.insert($0, before: at) }
            model.insert(value, at: i)
        case 6 where !model.isEmpty:
            withBytes(value) { pack.replace(at: at, with: $0) }
            model[i] = value
        case 7:
            let n = 1 + random.below(4)
            #expect(pack.remove(at: at, count: n) == min(n, model.count - i))
            model.removeSubrange(i..<min(model.count, i + n))
        case 8:
            var tail = pack.split(at: at)
            #expect(elements(tail) == Array(model[i...]))
            swap(&tail, &pack)
            pack.append(entriesOf: tail)
            tail.free()
            model = Array(model[i...] + model[..<i])
        default:
            let old = pack
            pack = pack.copy()
            old.free()
        }
    }

    private func check(_ pack: Listpack, _ model: [[UInt8]], _ random: inout SeededRandom) {
        let probe = model.isEmpty || random.below(3) == 0 ? element(&random) : model[random.below(model.count)]
        withBytes(probe) { probe in
            let found = pack.find(probe, from: Listpack.headerSize)
            #expect(found == model.firstIndex(of: probe.array).flatMap { pack.seek($0) })
            let even = pack.find(probe, from: Listpack.headerSize, skip: 1)
            let expected = model.indices.first { $0 % 2 == 0 && model[$0] == probe.array }
            #expect(even == expected.flatMap { pack.seek($0) })
            for i in [0, model.count / 2, model.count - 1, model.count] where i >= 0 {
                guard let at = pack.seek(i) else {
                    #expect(i >= model.count)
                    continue
                }
                #expect(at == pack.seek(i - model.count))
                #expect(pack.matches(at, probe) == (model[i] == probe.array))
            }
        }
    }

    // MARK: - Damage

    @Test(arguments: [
        ("", 0), ("07000000", 0), ("0700000000ff", 0), ("070000000000fe", 6), ("0800000000 00ff", 0),
        ("0800000000ffff", 0), ("070000000100ff", 4), ("090000000100" + "0002ff", 6), ("090000000100" + "ff01ff", 6),
        ("090000000100" + "bf01ff", 6), ("090000000100" + "f000ff", 6), ("090000000200" + "0001ff", 4),
        ("0c0000000100" + "f0ffffffffff", 6), ("090000000100" + "f501ff", 6), ("0a0000000100" + "c00082ff", 6),
    ])
    func damage(hex: String, offset: Int) {
        let memory = FlatFormat.GuardedMemory(capacity: 64)
        let raw = FlatFormat.bytes(hex.filter { $0 != " " })
        #expect(Listpack.validate(memory.hold(raw)) == .damaged(at: offset))
        if Listpack(copying: memory.hold(raw)) != nil { Issue.record("was copied") }
    }

    @Test func randomDamage() {
        var random = SeededRandom()
        let memory = FlatFormat.GuardedMemory(capacity: 1 << 17)
        var accepted = 0
        for _ in 0..<200 {
            let sound = pack((0..<random.below(12)).map { _ in element(&random) })
            let raw = sound.bytes.array
            sound.free()
            for _ in 0..<50 {
                let bytes = memory.hold(FlatFormat.damaged(raw, &random))
                switch Listpack.validate(bytes) {
                case .damaged(let offset): #expect(offset >= 0 && offset <= bytes.count)
                case .sound(let count):
                    accepted += 1
                    // In place, so that a step too far meets the guard.
                    let pack = Listpack(block: UnsafeMutableRawPointer(mutating: bytes.base))
                    let walked = elements(pack)
                    #expect(walked.count == count && pack.count == count && elementsFromTheEnd(pack) == walked)
                    for element in walked {
                        #expect(withBytes(element) { pack.find($0, from: Listpack.headerSize) } != nil)
                    }
                }
            }
        }
        print("ListpackTests.randomDamage: \(accepted) of 10000 were sound")
    }
}
