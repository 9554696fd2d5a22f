import Storage

/// A running server, or all masters of a cluster, as a source of keys.
struct RemoteSource {
    enum Way {
        /// As a replica: what a node holds at one moment.
        case replication
        /// Key by key, of no one moment.
        case scan
    }

    let access: ServerAccess
    let way: Way

    /// Tells all keys to `sink`, databases and nodes one after the other. Throws what a server says against it, for data that is
    /// damaged, and what the sink throws. O(data), in memory of the largest value; a scan keeps 32 to 64 bytes a key more.
    func read(into sink: any KeySink, _ options: RDBOptions) throws(StorageError) -> DataSource.Summary {
        let (first, identity) = try connect(access.endpoint)
        var summary = DataSource.Summary()
        if !identity.isCluster {
            try read(first, identity, into: sink, options, isFirst: true, &summary)
        } else {
            let map = try remote { () throws(RemoteError) in try SlotMap(first) }
            for node in map.masters {
                let (connection, identity) = try connect(node)
                try read(connection, identity, into: sink, options, isFirst: node == map.masters[0], &summary)
            }
            summary.notes.append("a cluster of \(map.masters.count) masters, one after the other: not of one moment")
        }
        if way == .scan { summary.notes.append("not of one moment: changes during the scan may be in it or not") }
        return summary
    }

    private func connect(
        _ endpoint: ServerAddress.Endpoint
    ) throws(StorageError) -> (RemoteConnection, ServerIdentity) {
        var access = access
        access.endpoint = endpoint
        do throws(RemoteError) {
            let connection = try RemoteConnection(access)
            return (connection, try ServerIdentity(connection))
        } catch {
            throw error.asStorageError(endpoint)
        }
    }

    private func remote<T>(_ body: () throws(RemoteError) -> T) throws(StorageError) -> T {
        do throws(RemoteError) { return try body() } catch { throw error.asStorageError(access.endpoint) }
    }

    /// Reads one node. Libraries of functions are the same on all: they are told of the first alone.
    private func read(
        _ connection: RemoteConnection, _ identity: ServerIdentity, into sink: any KeySink, _ options: RDBOptions,
        isFirst: Bool, _ summary: inout DataSource.Summary
    ) throws(StorageError) {
        let place = connection.access.endpoint
        switch way {
        case .replication:
            let stream: ReplicaStream
            do throws(RemoteError) {
                stream = try ReplicaStream(connection)
            } catch {
                throw error.asStorageError(place)
            }
            let rdb = try KeySources.readRDB(
                stream, options: options, into: isFirst ? sink : KeysAlone(sink) as any KeySink)
            summary.expired += rdb.expired
            summary.notes.append(
                "\(place), \(identity.description): as of offset \(stream.offset) of the history \(stream.replicationID)"
            )
            if rdb.empty > 0 { summary.notes.append("left out: \(rdb.empty) empty collections") }
            summary.notes += rdb.mendings
            for reason in RDBUnsupported.allCases {
                guard let count = rdb.skipped[reason] else { continue }
                summary.notes.append("left out, not supported: \(reason.rawValue) (\(count))")
            }
        case .scan:
            var reader = ScanReader(connection, identity, options)
            try reader.read(into: sink, hasFunctions: isFirst)
            summary.expired += reader.expired
            summary.notes.append("\(place), \(identity.description): read by SCAN")
            if reader.vanished > 0 { summary.notes.append("gone before they were read: \(reader.vanished) keys") }
            if reader.skipped > 0 {
                summary.notes.append("left out, not supported: values of modules (\(reader.skipped))")
            }
        }
    }
}

/// Passes on keys, and no functions.
private final class KeysAlone: KeyVisitor {
    private var sink: any KeySink

    init(_ sink: any KeySink) { self.sink = sink }

    func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) { try sink.string(key, value) }
    func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) {
        try sink.begin(type, key, sizeHint: sizeHint)
    }
    func element(_ value: Bytes) throws(StorageError) { try sink.element(value) }
    func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        try sink.pair(field, value, expiresMs: expiresMs)
    }
    func scored(_ member: Bytes, _ score: Double) throws(StorageError) { try sink.scored(member, score) }
    func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) { try sink.streamEntry(id, fields) }
    func streamRow(_ row: StreamRow) throws(StorageError) { try sink.streamRow(row) }
    func end() throws(StorageError) { try sink.end() }
    func reached(_ offset: Int64, of size: Int64) throws(StorageError) { try sink.reached(offset, of: size) }
}
