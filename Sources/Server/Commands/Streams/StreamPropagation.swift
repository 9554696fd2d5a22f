import Storage

/// What consumer groups do, in commands that do the same again whenever they are executed.
enum StreamPropagation {
    /// The consumer that an entry is pending for, since when, after how many deliveries; or, of an entry that is gone from the stream,
    /// that it is not pending any more.
    static func claim(_ c: WriteContext, _ key: Bytes, _ stream: StreamEditor, _ group: StreamGroup, _ id: StreamID) {
        guard let pending = stream.view.pending(id, in: group) else { return }
        id.withText { id in
            withDecimal(pending.deliveredMs) { time in
                withDecimal(pending.deliveries) { deliveries in
                    group.lastID.withText { last in
                        c.propagate([
                            Bytes("XCLAIM"), key, group.name, pending.consumer.name, Bytes("0"), id, Bytes("TIME"),
                            time, Bytes("RETRYCOUNT"), deliveries, Bytes("FORCE"), Bytes("JUSTID"), Bytes("LASTID"),
                            last,
                        ])
                    }
                }
            }
        }
    }

    /// How far a group has read.
    static func setID(_ c: WriteContext, _ key: Bytes, _ group: StreamGroup) {
        group.lastID.withText { id in
            withDecimal(group.entriesRead ?? -1) { read in
                c.propagate([
                    Bytes("XGROUP"), Bytes("SETID"), key, group.name, id, Bytes("ENTRIESREAD"), read,
                ])
            }
        }
    }

    static func createConsumer(_ c: WriteContext, _ key: Bytes, _ group: StreamGroup, _ name: Bytes) {
        c.propagate([Bytes("XGROUP"), Bytes("CREATECONSUMER"), key, group.name, name])
    }
}
