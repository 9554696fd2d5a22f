import Storage

/// CLUSTER and what goes with it: there is no cluster, which is the answer to all of it.
enum ClusterCommands {
    static var table: [Command] {
        CommandGroup.cluster.rows([
            .container(
                "cluster", "3.0.0", "Manages the cluster.", .stale,
                [
                    .connection("countkeysinslot", 3, [], "3.0.0", "slot:i", "Counts the keys of a slot.", refuse),
                    .connection("getkeysinslot", 4, [], "3.0.0", "slot:i count:i", "Returns keys of a slot.", refuse)
                        .tips("nondeterministic_output"),
                    .connection("info", 2, [], "3.0.0", "", "Describes the state of the cluster.", refuse).tips(
                        "nondeterministic_output"),
                    .connection("keyslot", 3, [], "3.0.0", "key:s", "Returns the slot of a key.", refuse),
                    .connection("links", 2, [], "7.0.0", "", "Lists the connections between nodes.", refuse).tips(
                        "nondeterministic_output"),
                    .connection("myid", 2, [], "3.0.0", "", "Returns the id of the node.", refuse),
                    .connection("myshardid", 2, [], "7.2.0", "", "Returns the id of the node's shard.", refuse),
                    .connection("nodes", 2, [], "3.0.0", "", "Lists the nodes.", refuse).tips(
                        "nondeterministic_output"),
                    .connection("shards", 2, [], "7.0.0", "", "Lists the shards with their slots and nodes.", refuse)
                        .tips("nondeterministic_output"),
                    .connection("slots", 2, [], "3.0.0", "", "Lists the slots with their nodes.", refuse).tips(
                        "nondeterministic_output"
                    ).history(
                        ("4.0.0", "Returns the ids of nodes."),
                        ("7.0.0", "Returns more about how nodes can be reached.")
                    ).deprecated("7.0.0", "`CLUSTER SHARDS`"),
                    .admin(
                        "count-failure-reports", 3, [], "3.0.0", "node-id",
                        "Counts the reports that a node has failed.", refuseChange
                    ).tips("nondeterministic_output"),
                    .admin("replicas", 3, [], "5.0.0", "node-id", "Lists the replicas of a node.", refuseChange).tips(
                        "nondeterministic_output"),
                    .admin("slaves", 3, [], "3.0.0", "node-id", "Lists the replicas of a node.", refuseChange).tips(
                        "nondeterministic_output"
                    ).deprecated("5.0.0", "`CLUSTER REPLICAS`"),
                    .admin("reset", -2, .noscript, "3.0.0", "[hard_soft(HARD|SOFT)]", "Resets the node.", refuseChange),
                    .connection("help", 2, .loading, "5.0.0", "", "Describes the subcommands.", refuse),
                    .admin(
                        "addslots", -3, .noAsyncLoading, "3.0.0", "slot:i...", "Assigns slots to the node.",
                        refuseChange),
                    .admin(
                        "addslotsrange", -4, .noAsyncLoading, "7.0.0",
                        "start-slot_end-slot{start-slot:i end-slot:i}...", "Assigns ranges of slots to the node.",
                        refuseChange),
                    .admin(
                        "bumpepoch", 2, .noAsyncLoading, "3.0.0", "", "Advances the epoch of the cluster.", refuseChange
                    ).tips("nondeterministic_output"),
                    .admin(
                        "delslots", -3, .noAsyncLoading, "3.0.0", "slot:i...", "Removes slots from the node.",
                        refuseChange),
                    .admin(
                        "delslotsrange", -4, .noAsyncLoading, "7.0.0",
                        "start-slot_end-slot{start-slot:i end-slot:i}...", "Removes ranges of slots from the node.",
                        refuseChange),
                    .admin(
                        "failover", -2, .noAsyncLoading, "3.0.0", "[options(FORCE|TAKEOVER)]",
                        "Promotes the replica to the master of its shard.", refuseChange),
                    .admin(
                        "flushslots", 2, .noAsyncLoading, "3.0.0", "", "Removes all slots from the node.", refuseChange),
                    .admin(
                        "forget", 3, .noAsyncLoading, "3.0.0", "node-id", "Removes another node from the node's table.",
                        refuseChange),
                    .admin(
                        "meet", -4, .noAsyncLoading, "3.0.0", "ip port:i [cluster_bus_port:i@4.0.0]",
                        "Connects the node to another one.", refuseChange
                    ).history(("4.0.0", "Accepts the port of the cluster bus.")),
                    .admin(
                        "replicate", 3, .noAsyncLoading, "3.0.0", "node-id",
                        "Turns the node into a replica of another one.", refuseChange),
                    .admin(
                        "saveconfig", 2, .noAsyncLoading, "3.0.0", "", "Saves the state of the cluster to disk.",
                        refuseChange),
                    .admin(
                        "set-config-epoch", 3, .noAsyncLoading, "3.0.0", "config-epoch:i",
                        "Sets the epoch of the node.", refuseChange),
                    .admin(
                        "setslot", -4, .noAsyncLoading, "3.0.0",
                        "slot:i subcommand(IMPORTING node-id|MIGRATING node-id|NODE node-id|STABLE)",
                        "Assigns a slot to a node, or marks it as being moved.", refuseChange),
                ]),
            .connection(
                "asking", 1, .fast, "3.0.0", "", "Announces that a cluster redirected the next command.", refuse
            ).categories(.connection),
            .connection(
                "readonly", 1, [.loading, .stale, .fast], "3.0.0", "", "Allows reads from a replica of a cluster.",
                refuse
            ).categories(.connection),
            .connection(
                "readwrite", 1, [.loading, .stale, .fast], "3.0.0", "", "Ends the mode that READONLY began.", refuse
            ).categories(.connection),
        ])
    }

    private static let isDisabled = CommandError("ERR This instance has cluster support disabled")
    private static let refuse: ConnectionHandler = { _ throws(CommandError) in throw isDisabled }
    private static let refuseChange: AdminHandler = { _ throws(CommandError) in throw isDisabled }
}
