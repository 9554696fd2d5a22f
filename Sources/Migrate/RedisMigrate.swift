import ArgumentParser

@main
struct RedisMigrate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "redis-migrate",
        abstract: "Converts between Redis's RDB files and Swiftlet's snapshots, which are SQLite databases.",
        version: "redis-migrate 0.1.0",
        subcommands: [ToSQLite.self, ToRDB.self, Verify.self, Diff.self, Stats.self])
}
