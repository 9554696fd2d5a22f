import ArgumentParser

/// A form in which files hold keys.
enum DataForm: String, CaseIterable, ExpressibleByArgument {
    case rdb
    /// A snapshot.
    case sqlite
    /// Commands.
    case aof
    /// An RDB file that commands may follow.
    case aofPreamble = "aof-preamble"
    /// A folder with a manifest.
    case aofDirectory = "aof-dir"
    /// Commands, for `redis-cli --pipe`.
    case resp
    /// JSON lines.
    case json
    case csv

    /// The form that a name's end asks for, without `.gz` and `.zst`; nil where it says nothing.
    static func of(_ path: String) -> DataForm? {
        var name = path
        for suffix in [".gz", ".zst"] where name.hasSuffix(suffix) { name = String(name.dropLast(suffix.count)) }
        let endings: [(String, DataForm)] = [
            (".rdb", .rdb), (".sqlite", .sqlite), (".sqlite3", .sqlite), (".db", .sqlite), (".aof", .aof),
            (".resp", .resp), (".jsonl", .json), (".ndjson", .json), (".json", .json), (".csv", .csv),
            ("/", .aofDirectory),
        ]
        return endings.first { name.hasSuffix($0.0) }?.1
    }
}
