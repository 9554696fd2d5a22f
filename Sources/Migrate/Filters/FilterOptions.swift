import ArgumentParser
import Storage

/// Which keys a verb takes, and what becomes of them: the same options for each verb.
struct FilterOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Take keys that match.", valueName: "glob"))
    var match: [String] = []
    @Option(help: ArgumentHelp("Leave out keys that match.", valueName: "glob"))
    var notMatch: [String] = []
    @Option(help: ArgumentHelp("Take keys that begin so.", valueName: "text"))
    var prefix: [String] = []
    @Option(help: ArgumentHelp("Leave out keys that begin so.", valueName: "text"))
    var notPrefix: [String] = []
    @Option(help: ArgumentHelp("Take keys of this type: string, list, set, zset, hash or stream.", valueName: "type"))
    var type: [KeyType] = []
    @Option(help: ArgumentHelp("Leave out keys of this type.", valueName: "type"))
    var notType: [KeyType] = []
    @Option(help: ArgumentHelp("Take keys of this database.", valueName: "number"))
    var db: [Int32] = []
    @Option(help: ArgumentHelp("Leave out keys of this database.", valueName: "number"))
    var notDb: [Int32] = []
    @Option(
        help: ArgumentHelp(
            "Take keys whose time to live is none, any, or compares: '<1h', '>30d'; ms, s, m, h, d.",
            valueName: "condition"))
    var ttl: [LifetimeCondition] = []
    @Option(help: ArgumentHelp("Leave out keys with such a time to live.", valueName: "condition"))
    var notTtl: [LifetimeCondition] = []
    @Option(
        help: ArgumentHelp(
            "Take keys with so many elements (strings: bytes), or bytes of content with a unit: '>1000', '<=64kb'.",
            valueName: "condition"))
    var size: [SizeCondition] = []
    @Option(help: ArgumentHelp("Leave out keys of such a size.", valueName: "condition"))
    var notSize: [SizeCondition] = []
    @Flag(help: "Leave out libraries of functions.")
    var noFunctions = false

    @Option(help: ArgumentHelp("Have keys expire so long from now, or none: never.", valueName: "duration"))
    var setTtl: NewLifetime?
    @Option(
        help: ArgumentHelp("Give keys that begin with OLD names that begin with NEW.", valueName: "OLD=NEW"))
    var renamePrefix: [PrefixChange] = []
    @Option(help: ArgumentHelp("Put all keys into this database.", valueName: "number"))
    var toDb: Int32?

    func validate() throws {
        for number in db + notDb + [toDb].compactMap({ $0 }) where number < 0 {
            throw ValidationError("\(number) is no number of a database.")
        }
    }

    /// Whether nothing is left out and nothing is changed.
    var isEmpty: Bool {
        match.isEmpty && notMatch.isEmpty && prefix.isEmpty && notPrefix.isEmpty && type.isEmpty && notType.isEmpty
            && db.isEmpty && notDb.isEmpty && ttl.isEmpty && notTtl.isEmpty && size.isEmpty && notSize.isEmpty
            && !noFunctions && setTtl == nil && renamePrefix.isEmpty && toDb == nil
    }

    /// A sink that passes on what these options take, as they say. Times to live count from `now`, in ms since 1970.
    func filter(_ sink: any KeySink, now: Int64) -> KeyFilter { KeyFilter(sink, KeyRules(self, now: now)) }
}

/// A type of keys, by the name that TYPE answers.
struct KeyType: ExpressibleByArgument {
    let value: ValueType

    init?(argument: String) {
        guard let value = ValueType.allCases.first(where: { "\($0.name)" == argument }) else { return nil }
        self.value = value
    }
}

/// OLD=NEW.
struct PrefixChange: ExpressibleByArgument {
    let old: [UInt8]
    let new: [UInt8]

    init?(argument: String) {
        guard let equals = argument.firstIndex(of: "=") else { return nil }
        old = Array(argument[..<equals].utf8)
        new = Array(argument[argument.index(after: equals)...].utf8)
    }
}

/// What keys are to live from now on: so many milliseconds, or for ever.
struct NewLifetime: ExpressibleByArgument {
    let milliseconds: Int64?

    init?(argument: String) {
        if argument == "none" {
            milliseconds = nil
        } else {
            guard let value = Quantity.milliseconds(argument) else { return nil }
            milliseconds = value
        }
    }
}
