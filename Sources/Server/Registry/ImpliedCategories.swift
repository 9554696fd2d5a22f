extension Categories {
    /// What flags and group imply.
    init(_ flags: CommandFlags, _ group: CommandGroup?) {
        var found: Categories = flags.contains(.fast) ? .fast : .slow
        if flags.contains(.write) { found.insert(.write) }
        if flags.contains(.readonly) && group != .scripting { found.insert(.read) }
        if flags.contains(.admin) { found.formUnion([.admin, .dangerous]) }
        if flags.contains(.pubsub) { found.insert(.pubsub) }
        if flags.contains(.blocking) { found.insert(.blocking) }
        switch group {
        case .generic: found.insert(.keyspace)
        case .string: found.insert(.string)
        case .list: found.insert(.list)
        case .set: found.insert(.set)
        case .zset: found.insert(.sortedset)
        case .hash: found.insert(.hash)
        case .transactions: found.insert(.transaction)
        case .connection: found.insert(.connection)
        case .scripting: found.insert(.scripting)
        case .hyperloglog: found.insert(.hyperloglog)
        case .geo: found.insert(.geo)
        case .stream: found.insert(.stream)
        case .bitmap: found.insert(.bitmap)
        case .pubsub, .server, .cluster, .sentinel, nil: break
        }
        self = found
    }
}
