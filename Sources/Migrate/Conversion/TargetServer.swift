import ArgumentParser

/// A server that is to read what is written: which RDB version it takes, and what it knows.
enum TargetServer: String, CaseIterable, ExpressibleByArgument {
    case redis62 = "redis-6.2"
    case redis70 = "redis-7.0"
    case redis72 = "redis-7.2"
    case redis74 = "redis-7.4"
    case valkey72 = "valkey-7.2"
    case valkey8 = "valkey-8"
    case valkey9 = "valkey-9"

    var rdbVersion: Int {
        switch self {
        case .redis62: 9
        case .redis70: 10
        case .redis72, .valkey72, .valkey8: 11
        case .redis74: 12
        case .valkey9: 80
        }
    }
    var hasFunctions: Bool { rdbVersion >= 10 }
    var hasFieldExpiries: Bool { rdbVersion >= 12 }
    /// Streams' counts of entries ever added and read.
    var hasStreamCounts: Bool { rdbVersion >= 10 }
}
