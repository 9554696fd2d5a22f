import Storage

/// Copies of the snapshot, while the server goes on.
enum BackupCommands {
    static var table: [Command] {
        CommandGroup.server.rows([
            .admin(
                "backup", -2, [.noscript, .noAsyncLoading, .repliesLater], "7.2.0", "path [REPLACE]",
                "Writes a copy of the data into a file below backup-dir, and answers when it is on disk.", backup
            ).complexity("O(N) for N bytes of the snapshot, on another thread"),
            .container(
                "snapshot", "7.2.0", "Keeps snapshots under names.", .noscript,
                [
                    .admin(
                        "keep", -3, [.noAsyncLoading, .repliesLater], "7.2.0", "name [REPLACE]",
                        "Keeps a snapshot of the data under a name, and answers when it is on disk.", keep
                    ).complexity("O(N) for N bytes of the snapshot, on another thread"),
                    .admin("list", 2, .repliesLater, "7.2.0", "", "Lists the snapshots that are kept.", list)
                        .complexity("O(N) for N kept snapshots"),
                    .admin("drop", 3, .repliesLater, "7.2.0", "name", "Deletes a snapshot that is kept.", drop),
                    .help("7.2.0"),
                ]),
        ])
    }

    /// Whether REPLACE stands behind the name at `index`.
    private static func replaces(_ args: Arguments, after index: Int) throws(CommandError) -> Bool {
        if args.count == index + 1 { return false }
        guard args.count == index + 2, args[index + 1].equals(ignoringCase: "replace") else { throw .syntax }
        return true
    }

    private static func backup(_ c: AdminContext) throws(CommandError) {
        let replaces = try replaces(c.args, after: 1)
        let backups = c.services.persistence.backups
        try backups.begin(c.session, c.args, at: try backups.path(c.args[1]), replaces: replaces)
    }

    @Sendable private static func keep(_ c: AdminContext) throws(CommandError) {
        let replaces = try replaces(c.args, after: 2)
        let path = try kept(c.args[2]).path(in: c.settings.directory)
        try c.services.persistence.backups.begin(c.session, c.args, at: path, replaces: replaces)
    }

    @Sendable private static func list(_ c: AdminContext) throws(CommandError) {
        c.services.persistence.backups.list(c.session, c.args)
    }

    @Sendable private static func drop(_ c: AdminContext) throws(CommandError) {
        c.services.persistence.backups.drop(c.session, c.args, try kept(c.args[2]))
    }

    private static func kept(_ name: Bytes) throws(CommandError) -> KeptSnapshot {
        guard let kept = KeptSnapshot(name: name.string) else {
            throw CommandError(
                "ERR a snapshot's name has 1 to 64 letters, digits, '-', '_' and '.', and no dot in front")
        }
        return kept
    }
}
