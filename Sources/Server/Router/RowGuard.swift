import Storage

/// Requests of a size with which a row could come about that no snapshot can hold.
extension Router {
    /// Answers an error to a request that would put a name of more than `RowLimits.maximumName` bytes into the keyspace, or
    /// more fields than that into one entry of a stream. Only requests longer than that need to be asked about.
    func refusesRow(_ session: Session, _ args: Arguments) -> Bool {
        guard let command = services.command(args), command.accepts(argumentCount: args.count),
            command.flags.contains(.write), let error = rowError(command, args)
        else { return false }
        let start = session.output.count
        reject(session, command, error)
        finish(session, start)
        return true
    }

    /// As above, for a write whose length is not known yet. O(arguments).
    func rowRefusal(_ command: CommandEntry, _ args: Arguments) -> CommandError? {
        var sum = 0
        for i in 0..<args.count { sum &+= args[i].count }
        return sum > RowLimits.maximumName ? rowError(command, args) : nil
    }

    private func rowError(_ command: CommandEntry, _ args: Arguments) -> CommandError? {
        var error: CommandError?
        // What takes no memory for new data names keys that are there, but for those that it moves data to.
        let grows = command.flags.contains(.denyoom)
        command.row.keys.forEach(args) { index, access in
            if access.creates || grows && access.writes, args[index].count > RowLimits.maximumName {
                error = .nameTooLong
            }
        }
        if !grows { return error }
        switch command.row.group {
        case .hash:
            // Fields stand before their values, behind the key.
            for i in stride(from: 2, to: args.count, by: 2) where args[i].count > RowLimits.maximumName {
                error = .nameTooLong
            }
        case .stream:
            var sum = 0
            for i in 0..<args.count { sum += args[i].count }
            if sum > RowLimits.maximumValue { error = .entryTooLong }
        case .generic, .string, .list, .set, .zset, .pubsub, .transactions, .connection, .server, .scripting,
            .hyperloglog, .geo, .bitmap, .cluster, .sentinel, nil:
            break
        }
        return error
    }
}
