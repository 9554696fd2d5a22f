import Storage
import Testing

@testable import Server

@Suite struct ScriptTests {
    private func digest(_ text: String) -> ScriptDigest { Array(text.utf8).lend { ScriptDigest(of: $0) } }

    @Test func digestsAreTheDigitsOfSHA1() {
        let hex = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
        #expect(String(decoding: digest("return 1").hex, as: UTF8.self) == hex)
        for text in [hex, hex.uppercased()] {
            #expect(Array(text.utf8).lend { ScriptDigest($0) } == digest("return 1"))
        }
        for text in ["", String(hex.dropLast()), hex + "0", String(hex.dropLast()) + "g"] {
            #expect(Array(text.utf8).lend { ScriptDigest($0) } == nil)
        }
    }

    /// What takes the place of a command in the stream has its length, and one command's form.
    @Test func aFillerHasAnyLength() throws {
        for length in Array(20...2000) + [9999, 10_019, 10_020, 10_021, 100_022, 1_000_000] {
            let filler = RESPEncoder.filler(length)
            #expect(filler.count == length)
            let batch = RequestBatch()
            var parser = RequestParser()
            var position = 0
            guard case .request = try parser.next(filler.bytes, &position, batch, maximumBulk: 1 << 30) else {
                Issue.record("\(length): no request")
                continue
            }
            #expect(position == length && batch.requests[0].isCanonical && batch.requests[0].argumentCount == 2)
        }
    }

    @Test func theCacheForgetsWhatWasNotUsedForTheLongestTime() {
        var cache = ScriptCache()
        func script(_ i: Int, isLoaded: Bool = false) -> Script {
            Script(digest("\(i)"), .undeclared, Int32(i), size: 10, isLoaded: isLoaded)
        }
        #expect(cache.add(script(-1, isLoaded: true)) == nil)
        for i in 0..<ScriptCache.maximumPassing { #expect(cache.add(script(i)) == nil) }
        _ = cache.find(digest("0"))
        #expect(cache.add(script(1000))?.reference == 1)
        cache.keep(cache.find(digest("2"))!)
        #expect(cache.add(script(1001)) == nil)
        #expect(cache.add(script(1002))?.reference == 3)
        #expect(cache.count == ScriptCache.maximumPassing + 2 && cache.contains(digest("-1")))
        #expect(cache.size == cache.count * 10)
    }

    @Test func whatABatchBorrowsStaysGoodInAnother() throws {
        let batch = RequestBatch()
        let other = RequestBatch()
        let input = Array("*1\r\n$4\r\nPING\r\n'quo ted' x\r\n".utf8)
        try input.lend { input in
            var parser = RequestParser()
            var position = 0
            _ = try parser.next(input, &position, batch, maximumBulk: 100)
            _ = try parser.next(input, &position, batch, maximumBulk: 100)
            let args = batch.arguments(of: batch.requests[1])
            batch.exchangeContents(with: other)
            #expect(batch.count == 0 && other.count == 2)
            position = 0
            parser = RequestParser()
            _ = try parser.next(input, &position, batch, maximumBulk: 100)
            #expect(args[0].string == "quo ted" && args[1].string == "x")
            batch.exchangeContents(with: other)
            #expect(batch.count == 2 && batch.arguments(of: batch.requests[0])[0].string == "PING")
        }
    }
}
