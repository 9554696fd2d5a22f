import Storage

/// CLUSTER and what goes with it: there is no cluster, which is the answer to all of it.
enum ClusterCommands {
    static let table: [Command] = [
        Command(
            "cluster", arity: -2, keys: .none, group: .cluster, since: "3.0.0", complexity: "Depends on subcommand.",
            summary: "Nodes and slots of a cluster.", subcommands: subcommands),
        Command(
            "asking", arity: 1, flags: [.fast], keys: .none, group: .cluster, since: "3.0.0",
            summary: "Says that a cluster client was sent here.", categories: .connection, .connection(refuse)),
        Command(
            "readonly", arity: 1, flags: [.fast, .loading, .stale], keys: .none, group: .cluster, since: "3.0.0",
            summary: "Lets a cluster client read from a replica.", categories: .connection, .connection(refuse)),
        Command(
            "readwrite", arity: 1, flags: [.fast, .loading, .stale], keys: .none, group: .cluster, since: "3.0.0",
            summary: "Ends READONLY.", categories: .connection, .connection(refuse)),
    ]

    private static let subcommands: [Command] =
        [
            sub("countkeysinslot", 3, "Counts the keys of a slot."),
            sub("getkeysinslot", 4, "Lists keys of a slot."),
            sub("info", 2, "Describes the cluster's state."),
            sub("keyslot", 3, "Answers a key's slot."),
            sub("links", 2, "Lists connections between nodes.", since: "7.0.0"),
            sub("myid", 2, "Answers this node's id."),
            sub("myshardid", 2, "Answers this node's shard.", since: "7.2.0"),
            sub("nodes", 2, "Lists the nodes."),
            sub("shards", 2, "Lists the shards.", since: "7.0.0"),
            sub("slots", 2, "Lists slots and their nodes."),
            sub("count-failure-reports", 3, "Counts reports that a node fails.", [.admin, .stale]),
            sub("replicas", 3, "Lists a node's replicas.", [.admin, .stale], since: "5.0.0"),
            sub("slaves", 3, "The older name of CLUSTER REPLICAS.", [.admin, .stale]),
            sub("reset", -2, "Resets this node.", [.admin, .noscript, .stale]),
            sub("help", 2, "Answers what CLUSTER can do.", [.loading, .stale], since: "5.0.0"),
        ] + changes

    private static let changes: [Command] = [
        change("addslots", -3, "Assigns slots to this node."),
        change("addslotsrange", -4, "Assigns ranges of slots to this node.", since: "7.0.0"),
        change("bumpepoch", 2, "Raises the cluster's epoch."),
        change("delslots", -3, "Takes slots from this node."),
        change("delslotsrange", -4, "Takes ranges of slots from this node.", since: "7.0.0"),
        change("failover", -2, "Makes a replica take over."),
        change("flushslots", 2, "Takes all slots from this node."),
        change("forget", 3, "Removes a node."),
        change("meet", -4, "Joins another node."),
        change("replicate", 3, "Makes this node a replica."),
        change("saveconfig", 2, "Saves the cluster's state."),
        change("set-config-epoch", 3, "Sets this node's epoch."),
        change("setslot", -4, "Assigns or moves a slot."),
    ]

    private static func sub(
        _ name: StaticString, _ arity: Int, _ summary: StaticString, _ flags: CommandFlags = .stale,
        since: StaticString = "3.0.0"
    ) -> Command {
        Command(
            name, arity: arity, flags: flags, keys: .none, group: .cluster, since: since, summary: summary,
            .connection(refuse))
    }
    private static func change(
        _ name: StaticString, _ arity: Int, _ summary: StaticString, since: StaticString = "3.0.0"
    ) -> Command {
        sub(name, arity, summary, [.admin, .stale, .noAsyncLoading], since: since)
    }

    @Sendable private static func refuse(_ c: ConnectionContext) throws(CommandError) {
        throw CommandError("ERR This instance has cluster support disabled")
    }
}
