import ArgumentParser

@main
struct RedisMigrate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "redis-migrate",
        abstract: "Converts between the files of Redis, Valkey and Swiftlet, whose snapshots are SQLite databases.",
        version: "redis-migrate 0.1.0",
        subcommands: [
            Convert.self, ToSQLite.self, ToRDB.self, Verify.self, Diff.self, Stats.self, Restore.self, From.self, CheckLog.self,
            Index.self,
        ])
}
