import Storage

/// What clients ask of features that are not there: how much there is of them, which is nothing.
enum AbsentCommands {
    static var table: [Command] {
        CommandGroup.server.rows([module])
    }

    // MARK: - MODULE

    private static var module: Command {
        .container(
            "module", "4.0.0", "Manages modules.", .noscript,
            [
                .admin("list", 2, [], "4.0.0", "", "Lists the modules that are loaded.", moduleList).complexity(
                    "O(N) for N modules"
                ).tips("nondeterministic_output_order"),
                .admin(
                    "load", -3, .noAsyncLoading, "4.0.0", "path [arg...]", "Loads a module. Swiftlet supports none.",
                    noModules),
                .admin(
                    "loadex", -3, .noAsyncLoading, "7.0.0", "path [CONFIG configs{name value}....] [ARGS args{arg}...]",
                    "Loads a module with its settings. Swiftlet supports none.", noModules),
                .admin(
                    "unload", 3, .noAsyncLoading, "4.0.0", "name", "Unloads a module. Swiftlet supports none.",
                    noModules),
                .help("5.0.0"),
            ])
    }

    @Sendable private static func moduleList(_ c: AdminContext) throws(CommandError) { c.reply.array(0) }

    @Sendable private static func noModules(_ c: AdminContext) throws(CommandError) {
        throw CommandError("ERR Modules are not supported")
    }
}
