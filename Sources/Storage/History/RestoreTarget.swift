/// What a directory is to be restored to.
public enum RestoreTarget: Sendable, Equatable {
    /// What was there at the beginning of this second, since 1970.
    case second(Int64)
    /// What was there before the last command of this name, in lower case, took effect, or its transaction did.
    case before(command: String)
    /// What was there before the last restore.
    case beforeRestore
    /// What SNAPSHOT KEEP has kept under this name.
    case kept(String)
    /// What was there when so much of a server's log was written: for tests.
    case place(server: String, LogPlace)
}

extension RestoreTarget {
    private static let words: [String: RestoreTarget] = [
        "before-flushall": .before(command: "flushall"), "before-flushdb": .before(command: "flushdb"),
        "before-restore": .beforeRestore,
    ]

    /// How it is written.
    public static let forms =
        "'2026-11-26 14:03:00' in UTC, with Z or an offset (+02:00) behind it too; before-flushall, before-flushdb, "
        + "before-restore, or snapshot:NAME"

    /// A word, or a date with the time, in UTC unless an offset says otherwise; a fraction of a second is passed over. nil for
    /// anything else.
    public init?(_ text: String) {
        if let word = RestoreTarget.words[text.lowercased()] {
            self = word
            return
        }
        if text.hasPrefix("snapshot:"), let kept = KeptSnapshot(name: String(text.dropFirst(9))) {
            self = .kept(kept.name)
            return
        }
        var parts = TimeScanner(text)
        guard let year = parts.number(4), parts.skip("-"), let month = parts.number(2), parts.skip("-"),
            let day = parts.number(2), parts.skip(" ") || parts.skip("T"), let hour = parts.number(2), parts.skip(":"),
            let minute = parts.number(2), parts.skip(":"), let second = parts.number(2), parts.skipFraction(),
            let offset = parts.offset(), parts.isAtEnd, (1...12).contains(month), day >= 1,
            day <= Self.days(of: month, year), hour < 24, minute < 60, second < 60, year >= 1970
        else { return nil }
        let days = Self.daysSince1970(year, month, day)
        self = .second(Int64(days * 86400 + hour * 3600 + minute * 60 + second - offset))
    }

    private static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }
    private static func days(of month: Int, _ year: Int) -> Int {
        month == 2 ? (isLeap(year) ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
    }
    private static func daysSince1970(_ year: Int, _ month: Int, _ day: Int) -> Int {
        var days = day - 1
        for earlier in 1970..<year { days += isLeap(earlier) ? 366 : 365 }
        for earlier in 1..<month { days += Self.days(of: earlier, year) }
        return days
    }

    /// As it is written, in UTC, up to the year 9999.
    public static func text(milliseconds: Int64) -> String {
        let second = min(max(0, milliseconds / 1000), 253_402_300_799)
        var days = Int(second / 86400)
        let left = Int(second % 86400)
        var year = 1970
        while days >= (isLeap(year) ? 366 : 365) {
            days -= isLeap(year) ? 366 : 365
            year += 1
        }
        var month = 1
        while days >= Self.days(of: month, year) {
            days -= Self.days(of: month, year)
            month += 1
        }
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(year)-\(two(month))-\(two(days + 1)) \(two(left / 3600)):\(two(left / 60 % 60)):\(two(left % 60))"
    }
}

private struct TimeScanner {
    private var rest: Substring

    init(_ text: String) { rest = text[...] }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func number(_ digits: Int) -> Int? {
        let found = rest.prefix(digits)
        guard found.utf8.count == digits, found.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
        rest = rest.dropFirst(digits)
        return Int(found)
    }
    mutating func skip(_ character: Character) -> Bool {
        if rest.first != character { return false }
        rest = rest.dropFirst()
        return true
    }
    /// True unless a point stands without digits.
    mutating func skipFraction() -> Bool {
        if !skip(".") { return true }
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        rest = rest.dropFirst(digits.count)
        return !digits.isEmpty
    }
    /// Seconds east of UTC; nil where something else stands.
    mutating func offset() -> Int? {
        _ = skip(" ")
        if isAtEnd || skip("Z") { return 0 }
        let sign = skip("+") ? 1 : skip("-") ? -1 : 0
        guard sign != 0, let hours = number(2), hours < 24 else { return nil }
        _ = skip(":")
        guard let minutes = isAtEnd ? 0 : number(2), minutes < 60 else { return nil }
        return sign * (hours * 3600 + minutes * 60)
    }
}
