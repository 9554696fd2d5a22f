import Storage
import Testing

@testable import Server

/// Feeds a parser as a connection would: what is not used up is kept and comes again with more.
private struct Feed {
    var parser = RequestParser()
    let kept = OutputBuffer()
    let batch = RequestBatch()
    var requests: [[String]] = []
    /// The bytes of each request, which must be those that came in.
    var verbatim: [String] = []
    var error: ProtocolError?
    var maximumBulk = 512 << 20
    var isAuthenticated = true

    mutating func receive(_ bytes: ArraySlice<UInt8>) {
        if error != nil { return }
        bytes.withUnsafeBytes { if let base = $0.baseAddress { kept.append(Bytes(base, $0.count)) } }
        // As much memory as there is input, no more, so that reading beyond it is noticed.
        let input = UnsafeMutableRawPointer.allocate(byteCount: max(1, kept.count), alignment: 1)
        defer { input.deallocate() }
        input.copyMemory(from: kept.base, byteCount: kept.count)
        let available = Bytes(input, kept.count)
        var position = 0
        while true {
            batch.removeAll()
            do throws(ProtocolError) {
                while case .request = try parser.next(
                    available, &position, batch, maximumBulk: maximumBulk, isAuthenticated: isAuthenticated)
                {}
            } catch {
                self.error = error
            }
            for i in 0..<batch.count {
                let request = batch.requests[i]
                let args = batch.arguments(of: request)
                requests.append((0..<args.count).map { args[$0].string })
                verbatim.append(available[request.offset..<request.offset + request.length].string)
            }
            if batch.count == 0 || error != nil { break }
        }
        kept.removeFirst(position)
    }
    mutating func receive(_ text: String) { receive(Array(text.utf8)[...]) }

    static func all(_ text: String) -> Feed {
        var feed = Feed()
        feed.receive(text)
        return feed
    }
}

private func resp(_ words: String...) -> String {
    "*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
}

@Suite struct RESPParserTests {
    private static let pipeline =
        resp("SET", "key", "a value of some length") + "PING\r\n" + resp("GET", "key") + "*0\r\n" + "\r\n"
        + "set 'quoted key' \"a\\x41\\n\"\n" + "*-1\r\n" + resp("MSET", "a", "", "b", "\r\n$3\r\n", "c", "*1")
        + String(repeating: resp("GET", "k"), count: 20) + resp("LAST", String(repeating: "x", count: 300))

    @Test func everySplitGivesTheSameRequests() {
        let bytes = Array(Self.pipeline.utf8)
        let whole = Feed.all(Self.pipeline)
        #expect(whole.error == nil)
        #expect(whole.requests.count == 26)
        #expect(whole.requests[3] == ["set", "quoted key", "aA\n"])
        #expect(whole.requests[4] == ["MSET", "a", "", "b", "\r\n$3\r\n", "c", "*1"])
        for split in 0...bytes.count {
            var feed = Feed()
            feed.receive(bytes[..<split])
            feed.receive(bytes[split...])
            #expect(feed.requests == whole.requests, "split at \(split)")
            #expect(feed.verbatim == whole.verbatim, "split at \(split)")
            #expect(feed.kept.count == 0 && feed.error == nil)
        }
    }

    @Test func byteForByte() {
        var feed = Feed()
        for byte in Self.pipeline.utf8 { feed.receive([byte][...]) }
        #expect(feed.requests == Feed.all(Self.pipeline).requests)
    }

    @Test func verbatimBytesAreTheRequests() {
        let requests = [resp("SET", "a", "b"), resp("GET", "a")]
        #expect(Feed.all(requests.joined()).verbatim == requests)
    }

    static let faults: [(String, ProtocolError)] = [
        ("*x\r\n", .invalidMultibulkLength), ("*3000000000\r\n", .invalidMultibulkLength),
        ("*01\r\n", .invalidMultibulkLength), ("*\r\n", .invalidMultibulkLength),
        ("*99999999999999999999\r\n", .invalidMultibulkLength), ("*1\r\nPING\r\n", .expectedDollar(80)),
        ("*2\r\n$4\r\nPING\r\n:1\r\n", .expectedDollar(58)), ("*1\r\n$-1\r\n", .invalidBulkLength),
        ("*1\r\n$536870913\r\n", .invalidBulkLength), ("*1\r\n$x\r\n", .invalidBulkLength),
        ("set 'a\r\n", .unbalancedQuotes), ("\"a\"b\r\n", .unbalancedQuotes), ("\"a\\\"\r\n", .unbalancedQuotes),
        (String(repeating: "a", count: 70000), .bigInline),
        ("*" + String(repeating: "1", count: 70000), .bigMultibulkCount),
        ("*1\r\n$" + String(repeating: "1", count: 70000), .bigBulkCount),
    ]

    @Test(arguments: 0..<16) func fault(_ index: Int) {
        let (text, error) = Self.faults[index]
        var whole = Feed()
        whole.receive(resp("PING") + text)
        #expect(whole.error == error)
        #expect(whole.requests == [["PING"]])
        var pieces = Feed()
        for byte in text.utf8.prefix(100) { pieces.receive([byte][...]) }
        pieces.receive(Array(text.utf8.dropFirst(100))[...])
        #expect(pieces.error == error)
    }

    @Test(
        arguments: [
            ("*10\r\n", nil), ("*11\r\n", .unauthenticatedMultibulkLength), ("*1\r\n$16384\r\n", nil),
            ("*1\r\n$16385\r\n", .unauthenticatedBulkLength), ("*99999999999\r\n", .invalidMultibulkLength),
            ("*1\r\n$-2\r\n", .invalidBulkLength),
        ] as [(String, ProtocolError?)])
    func beforeAuthentication(text: String, error: ProtocolError?) {
        var whole = Feed()
        whole.isAuthenticated = false
        whole.receive(text)
        #expect(whole.error == error)
        var pieces = Feed()
        pieces.isAuthenticated = false
        for byte in text.utf8 { pieces.receive([byte][...]) }
        #expect(pieces.error == error)
    }

    @Test func faultTexts() {
        func text(_ error: ProtocolError) -> String {
            let reply = ReplyWriter()
            error.write(to: reply)
            return reply.output.bytes.string
        }
        #expect(text(.expectedDollar(80)) == "-ERR Protocol error: expected '$', got 'P'\r\n")
        #expect(text(.invalidMultibulkLength) == "-ERR Protocol error: invalid multibulk length\r\n")
        #expect(text(.invalidBulkLength) == "-ERR Protocol error: invalid bulk length\r\n")
        #expect(
            text(.unauthenticatedMultibulkLength) == "-ERR Protocol error: unauthenticated multibulk length\r\n")
        #expect(text(.unauthenticatedBulkLength) == "-ERR Protocol error: unauthenticated bulk length\r\n")
        #expect(text(.bigMultibulkCount) == "-ERR Protocol error: too big mbulk count string\r\n")
        #expect(text(.bigBulkCount) == "-ERR Protocol error: too big bulk count string\r\n")
        #expect(text(.bigInline) == "-ERR Protocol error: too big inline request\r\n")
        #expect(text(.unbalancedQuotes) == "-ERR Protocol error: unbalanced quotes in request\r\n")
    }

    @Test(
        arguments: [
            ("a  b\tc", ["a", "b", "c"]), (" a\r", ["a"]), (#""a b" 'c d'"#, ["a b", "c d"]),
            (#""\n\r\t\b\a\\\"""#, ["\n\r\t\u{8}\u{7}\\\""]),
            (#""\x41\x4" 'it\'s' '\n'"#, ["Ax4", "it's", "\\n"]), (#"a"b c"d"#, nil), (#"ab"c d""#, ["abc d"]),
            (#""""#, [""]),
        ] as [(String, [String]?)])
    func inline(line: String, words: [String]?) {
        let feed = Feed.all(line + "\n")
        if let words { #expect(feed.requests == [words]) } else { #expect(feed.error == .unbalancedQuotes) }
    }

    /// Arguments of a request that comes in many reads are found once each: twice the input takes about twice as long.
    @Test func manyArgumentsInManyReads() {
        let words = 100_000
        var text = Array("*\(words)\r\n".utf8)
        for _ in 0..<words { text += Array("$4\r\nabcd\r\n".utf8) }
        var parser = RequestParser()
        let batch = RequestBatch()
        let input = OutputBuffer()
        for start in stride(from: 0, to: text.count, by: 1000) {
            text[start..<min(text.count, start + 1000)].withUnsafeBytes {
                if let base = $0.baseAddress { input.append(Bytes(base, $0.count)) }
            }
            var position = 0
            let outcome = try? parser.next(input.bytes, &position, batch, maximumBulk: 1 << 20)
            #expect(outcome == (start + 1000 >= text.count ? .request : .incomplete))
        }
        #expect(batch.count == 1 && batch.requests[0].argumentCount == words)
        #expect(batch.requests[0].length == text.count)
    }
}
