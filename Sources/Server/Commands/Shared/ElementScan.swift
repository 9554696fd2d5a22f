import Storage

/// The options of HSCAN, SSCAN and ZSCAN, and what one call of them found.
struct ElementScan {
    private let args: Arguments
    let cursor: UInt64
    private(set) var count = 10
    private var pattern: Bytes?
    /// More than any collection has.
    private static let maximumCount: Int64 = 1 << 40
    /// Elements, each followed by its value where the type has one.
    var found = MemberList()

    /// Reads the cursor alone: the key is looked up before the options are looked at.
    init(_ args: Arguments) throws(CommandError) {
        self.args = args
        guard let cursor = Self.cursor(args[2]) else { throw .invalidCursor }
        self.cursor = cursor
    }

    mutating func readOptions() throws(CommandError) {
        var i = 3
        while i < args.count {
            guard i + 1 < args.count else { throw .syntax }
            if args[i].equals(ignoringCase: "count") {
                guard let number = args[i + 1].integer else { throw .notInteger }
                guard number >= 1 else { throw .syntax }
                count = Int(min(number, ElementScan.maximumCount))
            } else if args[i].equals(ignoringCase: "match") {
                pattern = args[i + 1] == Bytes("*") ? nil : args[i + 1]
            } else {
                throw .syntax
            }
            i += 2
        }
    }

    func accepts(_ element: Bytes) -> Bool {
        guard let pattern else { return true }
        return stringmatch(pattern, element)
    }

    /// As strtoul reads a C string: a sign, wrap-around and nothing at all are allowed, spaces and other text are not.
    static func cursor(_ text: Bytes) -> UInt64? {
        var i = 0
        var negative = false
        if text.count > 0, text[0] == UInt8(ascii: "-") || text[0] == UInt8(ascii: "+") {
            negative = text[0] == UInt8(ascii: "-")
            i = 1
            if text.count == 1 { return nil }
        }
        var value: UInt64 = 0
        while i < text.count, text[i] != 0 {
            let digit = text[i] &- 48
            guard digit <= 9 else { return nil }
            let (product, o1) = value.multipliedReportingOverflow(by: 10)
            let (sum, o2) = product.addingReportingOverflow(UInt64(digit))
            if o1 || o2 { return nil }
            value = sum
            i += 1
        }
        return negative ? 0 &- value : value
    }

    func write(next: UInt64, to reply: ReplyWriter) {
        reply.array(2)
        reply.bulk(String(next))
        reply.array(found.count)
        for i in 0..<found.count { reply.bulk(found[i]) }
    }
}
