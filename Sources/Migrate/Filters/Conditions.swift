import ArgumentParser

/// Numbers with units, as they are written in options.
enum Quantity {
    private static let durations: [(String, Int64)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("", 1000),
    ]
    private static let sizes: [(String, Int64)] = [
        ("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30), ("b", 1),
    ]

    /// `90s`, `15m`, `36h`, `7d`, `500ms`; without a unit, seconds.
    static func milliseconds(_ text: String) -> Int64? { number(text, durations) }
    /// `64kb`, `1mb`; nil without a unit.
    static func bytes(_ text: String) -> Int64? { number(text.lowercased(), sizes) }

    private static func number(_ text: String, _ units: [(String, Int64)]) -> Int64? {
        for (unit, factor) in units where text.hasSuffix(unit) {
            guard let value = Int64(text.dropLast(unit.count)), value >= 0 else { continue }
            let (product, overflow) = value.multipliedReportingOverflow(by: factor)
            return overflow ? nil : product
        }
        return nil
    }
}

/// How a number compares with a limit.
enum Comparison: String, CaseIterable {
    // Longer ones first, as one may begin another.
    case atLeast = ">="
    case atMost = "<="
    case above = ">"
    case below = "<"
    case equal = "="

    func holds(_ value: Int64, _ limit: Int64) -> Bool {
        switch self {
        case .atLeast: value >= limit
        case .atMost: value <= limit
        case .above: value > limit
        case .below: value < limit
        case .equal: value == limit
        }
    }

    /// The comparison that `text` begins with, and the rest.
    static func parse(_ text: String) -> (Comparison, String)? {
        for comparison in allCases where text.hasPrefix(comparison.rawValue) {
            return (comparison, String(text.dropFirst(comparison.rawValue.count)))
        }
        return nil
    }
}

/// Of a key's time to live.
enum LifetimeCondition: ExpressibleByArgument {
    case none, any
    case compares(Comparison, Int64)

    init?(argument: String) {
        switch argument {
        case "none": self = .none
        case "any": self = .any
        default:
            guard let (comparison, rest) = Comparison.parse(argument), let ms = Quantity.milliseconds(rest) else {
                return nil
            }
            self = .compares(comparison, ms)
        }
    }

    /// `expiresMs` and `now` in ms since 1970.
    func holds(_ expiresMs: Int64?, now: Int64) -> Bool {
        switch self {
        case .none: expiresMs == nil
        case .any: expiresMs != nil
        case .compares(let comparison, let limit):
            expiresMs.map { comparison.holds($0.subtractingReportingOverflow(now).partialValue, limit) } ?? false
        }
    }
}

/// Of how much a key holds: elements (strings: bytes), or bytes of content.
struct SizeCondition: ExpressibleByArgument {
    let comparison: Comparison
    let limit: Int64
    let countsBytes: Bool

    init?(argument: String) {
        guard let (comparison, rest) = Comparison.parse(argument) else { return nil }
        self.comparison = comparison
        if let bytes = Quantity.bytes(rest) {
            limit = bytes
            countsBytes = true
        } else if let count = Int64(rest), count >= 0 {
            limit = count
            countsBytes = false
        } else {
            return nil
        }
    }

    func holds(elements: Int64, bytes: Int64) -> Bool { comparison.holds(countsBytes ? bytes : elements, limit) }

    /// Whether more elements cannot change what `holds` says.
    func isDecided(elements: Int64, bytes: Int64) -> Bool { (countsBytes ? bytes : elements) > limit }
}
