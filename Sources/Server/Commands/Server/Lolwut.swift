import Storage

/// LOLWUT: swiftlets on the wing, the server's own picture. `VERSION version [columns] [birds]` draws others.
enum Lolwut {
    private static let birds = ["v", "-v-", "\\_,_/", "`--.,.--'"]
    private static let rows = 12
    private static let mostColumns = 1000
    private static let mostBirds = 500

    static func reply(_ c: ReadContext) throws(CommandError) {
        let hasVersion = c.args.count > 2 && c.args[1].equals(ignoringCase: "version")
        if hasVersion { _ = try c.args.integer(2) }
        let first = hasVersion ? 3 : 1
        let columns = try number(c, first, or: 66, in: 1...mostColumns)
        let birds = try number(c, first + 1, or: 16, in: 1...mostBirds)
        let text = OutputBuffer()
        for line in picture(columns, birds) { text.append(text: line + "\n") }
        text.append(text: "\nRedis ver. \(Version.redis), \(Version.name) \(Version.number)\n")
        c.reply.verbatim(text.bytes, "txt")
    }

    /// An argument within `range`, to which others are brought, or `value` where there is none.
    private static func number(_ c: ReadContext, _ index: Int, or value: Int, in range: ClosedRange<Int>)
        throws(CommandError) -> Int
    {
        if index >= c.args.count { return value }
        return min(range.upperBound, max(range.lowerBound, Int(clamping: try c.args.integer(index))))
    }

    /// Lines with birds anywhere, the nearer ones larger; what would overlap or reach beyond the edge has flown on.
    private static func picture(_ columns: Int, _ count: Int) -> [String] {
        var sky = [[Character]](repeating: Array(repeating: " ", count: columns), count: rows)
        for _ in 0..<count {
            let bird = Array(Self.birds.randomElement() ?? "v")
            let row = Int.random(in: 0..<rows)
            let place = Int.random(in: 0..<columns)
            guard place + bird.count <= columns else { continue }
            let range = place..<place + bird.count
            if sky[row][range].allSatisfy({ $0 == " " }) { sky[row].replaceSubrange(range, with: bird) }
        }
        return sky.map { String($0) }
    }
}
