import Foundation
import TestSupport
import Testing

@testable import Storage

/// What the writer writes, read back by our own reader. Whether redis-server takes it, Tests/clients/test_round_trip.py
/// asks.
@Suite struct RDBWriterTests {
    // MARK: - Pieces

    @Test func checksumOfAPatch() {
        var bytes = [UInt8](repeating: 0, count: 5000)
        var random = SeededRandom()
        for i in bytes.indices { bytes[i] = UInt8.random(in: 0...255, using: &random) }
        for (offset, count) in [(0, 4), (17, 4), (4096, 8), (4996, 4), (100, 1)] {
            var holed = bytes
            for i in offset..<offset + count { holed[i] = 0 }
            var crc = CRC64()
            holed.withBytes { crc.update($0) }
            Array(bytes[offset..<offset + count]).withBytes {
                crc.patch($0, bytesSince: UInt64(bytes.count - offset - count))
            }
            #expect(crc.value == bytes.withBytes { CRC64.of($0) })
        }
    }

    @Test func ziplistOfAListpack() {
        var pack = Listpack.allocate()
        defer { pack.free() }
        var expected: [String] = []
        for power in [0, 4, 7, 8, 13, 15, 16, 22, 23, 24, 31, 32, 50, 62] {
            for delta in [-1, 0, 1] as [Int64] {
                for sign in [1, -1] as [Int64] { expected.append(String(sign * (1 << power) + delta)) }
            }
        }
        expected += ["\(Int64.min)", "\(Int64.max)", "12", "13", "", "a", "007"]
        for length in [62, 63, 64, 250, 251, 252, 253, 254, 16383, 16384, 70000] {
            expected += [String(repeating: "x", count: length), "after \(length)"]
        }
        for element in expected { Array(element.utf8).withBytes { pack.append($0) } }
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { scratch in
            let base = scratch.baseAddress.unsafelyUnwrapped
            let builder = ZiplistBuilder()
            for _ in 0..<2 {
                var found: [String] = []
                let damage = Ziplist.forEach(builder.convert(pack, scratch: base), scratch: base + 32) {
                    found.append($0.string)
                    return true
                }
                #expect(damage == nil)
                #expect(found == expected)
            }
        }
    }

    @Test func namesOfFunctionLibraries() {
        func name(_ code: String) -> String? { Array(code.utf8).withBytes { FunctionLibrary.name(in: $0)?.string } }
        #expect(name("#!lua name=mylib\nreturn 1") == "mylib")
        #expect(name("#!lua  flags=x name=a") == "a")
        #expect(name("#!lua name=\n name=b") == nil)
        #expect(name("#!lua\nname=b") == nil)
        #expect(name("name=b") == nil)
        #expect(name("") == nil)
        #expect(name("#!") == nil)
    }

    // MARK: - Files

    private static let fieldTTL: Int64 = 4_102_444_800_000

    /// Every type, small and large, fields that expire, functions.
    static func rich(fieldExpiries: Bool) -> [UInt8] {
        var file = RDBBuilder()
        file.raw([245])
        file.string("#!lua name=mylib\nreturn 1")
        for database in [0, 3] as [UInt8] {
            file.raw([254, database])
            func key(_ type: UInt8, _ name: String) {
                if name.count.isMultiple(of: 2) {
                    file.raw([252])
                    file.fixed64(UInt64(fieldTTL) + UInt64(name.count))
                }
                file.key(type, name)
            }
            for (i, text) in ["", "text", "-12", "70000", "99999999999", String(repeating: "ab", count: 400)]
                .enumerated()
            {
                key(0, "string\(i)")
                file.string(text)
            }
            for count in [1, 3, 127, 128, 129, 512, 513, 1000] {
                let numbers = (0..<count).map { $0 * 37 - 5000 }
                key(1, "list\(count)")
                file.length(count)
                for n in numbers { file.string(n % 3 == 0 ? "\(n)" : "item \(n) " + String(repeating: "y", count: 40)) }
                key(2, "integers\(count)")
                file.length(count)
                for n in numbers { file.string("\(n)") }
                key(2, "words:\(count)")
                file.length(count)
                for n in numbers { file.string(n % 5 == 0 ? "\(n)" : "w\(n)") }
                key(4, "hash\(count)")
                file.length(count)
                for n in numbers {
                    file.string("f\(n)")
                    file.string("\(n)")
                }
                key(5, "sorted\(count)")
                file.length(count)
                for n in numbers {
                    file.string("m\(n)")
                    file.fixed64((Double(n % 7) / 3).bitPattern)
                }
                if !fieldExpiries { continue }
                key(22, "expiring\(count)")
                file.length(count)
                for (i, n) in numbers.enumerated() {
                    if i % 2 == 0 {
                        file.raw([0])
                    } else {
                        file.raw([0x81])
                        file.raw((0..<8).map { UInt8(truncatingIfNeeded: (fieldTTL - Int64(n)) >> (56 - 8 * $0)) })
                    }
                    file.string("f\(n)")
                    file.string("v")
                }
            }
            key(1, "one long item")
            file.length(3)
            for text in ["short", String(repeating: "z", count: 100_000), "short too"] { file.string(text) }
        }
        return file.finished()
    }

    private func exported(
        _ bytes: [UInt8], _ directory: TemporaryDirectory, _ change: (inout RDBExporter.Options) -> Void
    ) throws -> (summary: RDBExporter.Summary, path: String) {
        let snapshot = directory.path + "/dump.sqlite"
        if !directory.contents.contains("dump.sqlite") {
            _ = try RDBImporter.run(from: directory.write(bytes), to: snapshot, options: RDBImporter.Options())
        }
        var options = RDBExporter.Options()
        options.overwrite = true
        change(&options)
        let path = directory.path + "/out.rdb"
        return (try RDBExporter.run(from: snapshot, to: path, options: options), path)
    }

    @Test(arguments: [9, 10, 11, 12], [true, false])
    func roundTrip(version: Int, compresses: Bool) throws {
        let directory = TemporaryDirectory()
        let bytes = Self.rich(fieldExpiries: version == 12)
        if version == 9 {
            // The functions are in the way.
            let error = #expect(throws: StorageError.self) {
                _ = try exported(bytes, directory) { $0.version = 9 }
            }
            #expect(error?.message.contains("mylib") == true)
            #expect(Set(directory.contents) == ["dump.sqlite", "test.rdb"])
            return
        }
        let (summary, path) = try exported(bytes, directory) {
            $0.version = version
            $0.compresses = compresses
        }
        let before = try Verification.run(directory.path + "/test.rdb")
        let between = try Verification.run(directory.path + "/dump.sqlite")
        let after = try Verification.run(path)
        #expect(try RDBReader(path: path, visitor: CountingVisitor()).read().version == version)
        #expect(after.holdsTheSame(as: before))
        #expect(between.holdsTheSame(as: before))
        #expect(before.functions == 1 && between.functions == 1 && after.functions == 1)
        #expect(summary.keys == before.keys && after.keys == before.keys && between.keys == before.keys)
        #expect(summary.elements == before.elements && between.elements == before.elements)
        #expect(Set(directory.contents) == ["dump.sqlite", "test.rdb", "out.rdb"])
        if compresses {
            let plain = try exported(bytes, directory) {
                $0.version = version
                $0.compresses = false
            }
            #expect(plain.summary.bytes > summary.bytes)
        }
    }

    @Test func versionNine() throws {
        let directory = TemporaryDirectory()
        var bytes = Self.rich(fieldExpiries: false)
        // Without the library: its opcode, a length, 25 bytes.
        bytes.removeSubrange(9..<9 + 1 + 1 + 25)
        let content = Array(bytes[..<(bytes.count - 8)])
        bytes =
            content
            + content.withBytes { crc in (0..<8).map { UInt8(truncatingIfNeeded: CRC64.of(crc) >> (8 * UInt64($0))) } }
        let (_, path) = try exported(bytes, directory) { $0.version = 9 }
        let after = try Verification.run(path)
        #expect(try RDBReader(path: path, visitor: CountingVisitor()).read().version == 9)
        #expect(after.holdsTheSame(as: try Verification.run(directory.path + "/test.rdb")))
    }

    @Test func fieldExpiriesNeedVersionTwelve() throws {
        let directory = TemporaryDirectory()
        let bytes = Self.rich(fieldExpiries: true)
        let error = #expect(throws: StorageError.self) { _ = try exported(bytes, directory) { $0.version = 11 } }
        #expect(error?.message.contains("\"expiring3\"") == true)
        #expect(error?.message.contains("--drop-field-ttls") == true)
        #expect(Set(directory.contents) == ["dump.sqlite", "test.rdb"])
        let (summary, path) = try exported(bytes, directory) {
            $0.version = 11
            $0.dropFieldExpiries = true
        }
        // All but those of one field, which does not expire.
        #expect(summary.losses.fieldExpiries == 2 * 7)
        let before = try Verification.run(directory.path + "/test.rdb")
        let after = try Verification.run(path)
        #expect(before.keys == after.keys && before.elements == after.elements && before.digest != after.digest)
    }

    @Test func nothingIsReplacedUnasked() throws {
        let directory = TemporaryDirectory()
        _ = try exported(Self.rich(fieldExpiries: false), directory) { _ in }
        #expect(throws: StorageError.self) {
            _ = try exported([], directory) { $0.overwrite = false }
        }
        #expect(throws: StorageError.self) {
            _ = try exported([], directory) { $0.progress = { _ in false } }
        }
        #expect(Set(directory.contents) == ["dump.sqlite", "test.rdb", "out.rdb"])
    }

    @Test func verificationFindsAKeyTwice() throws {
        var file = RDBBuilder()
        for _ in 0..<2 {
            file.key(0, "same")
            file.string("x")
        }
        let directory = TemporaryDirectory()
        let error = #expect(throws: StorageError.self) { _ = try Verification.run(directory.write(file.finished())) }
        #expect(error?.message.contains("\"same\"") == true)
        #expect(throws: StorageError.self) { _ = try Verification.run(directory.write([1, 2], to: "neither")) }
    }
}
