import Storage

/// The first start in a directory where redis-server has been: its data becomes the snapshot.
extension PersistenceControl {
    private struct RedisData {
        var rdb: String?
        var aof: AOFFiles?
    }

    /// Imports what redis-server has left in the data directory, into the empty keyspace and a snapshot that is put in
    /// place when all is in it and durable: a crash before that begins again. nil where there is nothing. Redis's files are
    /// not touched.
    func importRedisData() throws(StorageError) -> Meta? {
        guard let data else { return nil }
        let snapshotPath = data.snapshotPath
        let source = try redisData()
        if let files = source.aof { return try importAOF(files, beside: source.rdb, data) }
        guard let path = source.rdb else { return nil }
        server.logger.notice("Importing \(path) into \(snapshotPath)")
        let now = wallClockMilliseconds()
        let meta = try NewSnapshot.make(snapshotPath, overwrite: true, forServer: true) {
            (temporary) throws(StorageError) in
            let summary = try importRDB(path, at: temporary, dropExpiredAt: now)
            for line in summary.mendings { server.logger.warning("\(path): \(line)") }
            return try data.loadSnapshot(from: temporary)
        }
        server.logger.notice("Imported \(server.keyspace.count) keys; \(path) is not needed any more")
        return meta
    }

    // MARK: - Which files count

    /// As redis-server decides where `appendonly` is set: the append-only files are the data when it is on, else the RDB
    /// file. Beyond that, nothing that may be all the data there is is passed over in silence.
    private func redisData() throws(StorageError) -> RedisData {
        let settings = server.config.settings
        let directory = settings.directory
        let rdbPath = directory + "/" + settings.dbFileName
        let rdb = FileFacts.of(rdbPath)
        let aof = try AOFFiles.find(
            directory: directory, folder: settings.appendDirectoryName, baseName: settings.appendFileName)
        guard let rdb else { return RedisData(aof: aof) }
        guard let aof else { return RedisData(rdb: rdbPath) }
        let files = aof.paths[aof.paths.count - 1]
        if settings.appendOnlyChoice == false {
            if aof.modified > rdb.modified {
                throw StorageError(
                    file: files,
                    message: "this append-only file of Redis was written after \(rdbPath), which alone counts with "
                        + "`appendonly no`: start with `appendonly yes` to import it, or move it away")
            }
            server.logger.warning(
                "\(files) is not imported: with `appendonly no`, \(rdbPath), which is newer, is the data")
            return RedisData(rdb: rdbPath)
        }
        return RedisData(rdb: rdbPath, aof: aof)
    }

    /// The append-only files were imported, into the keyspace: the RDB file beside them must not be what was meant.
    private func check(_ files: AOFFiles, against path: String) throws(StorageError) {
        let isEmpty = server.keyspace.count == 0
        let isChosen = server.config.settings.appendOnlyChoice == true
        guard let rdb = FileFacts.of(path), isEmpty || (!isChosen && rdb.modified > files.modified) else { return }
        let digest: String
        do throws(StorageError) {
            let report = try Verification.run(path)
            if isEmpty && report.keys == 0 { return }
            digest = report.digest
        } catch {
            server.logger.warning("\(path) is not imported, and cannot be read: \(error)")
            return
        }
        if !isEmpty && digest == DataDigest.hex(of: server.keyspace) { return }
        throw StorageError(
            file: path,
            message: "this RDB file and Redis's append-only files (\(files.paths[0])) hold different data, and "
                + (isEmpty ? "the latter hold no key" : "the RDB file is newer, while `appendonly` is not set")
                + ": move away those that are not to be imported"
                + (isEmpty ? "" : ", or set `appendonly yes` to import the append-only files, as redis-server does"))
    }

    private func importRDB(
        _ path: String, at destination: String, dropExpiredAt: Int64?, hasTail: Bool = false
    ) throws(StorageError) -> RDBSummary {
        var options = RDBImporter.Options()
        options.reading.dropExpiredAt = dropExpiredAt
        options.reading.databases = Int32(clamping: server.config.settings.databases)
        options.reading.allowTail = hasTail
        return try loadElsewhere { [options] (job) throws(StorageError) in
            var options = options
            options.progress = {
                job.total.store(Int(clamping: $0.fileSize), ordering: .relaxed)
                job.done.store(Int(clamping: $0.bytesRead), ordering: .relaxed)
                return !job.isCancelled
            }
            return try RDBImporter.build(from: path, at: destination, options)
        }
    }

    // MARK: - Append-only files

    private func importAOF(
        _ files: AOFFiles, beside rdb: String?, _ data: DataDirectory
    ) throws(StorageError) -> Meta {
        let snapshotPath = data.snapshotPath
        let names = files.paths.joined(separator: ", ")
        server.logger.notice("Importing \(names) into \(snapshotPath)")
        let (meta, commands) = try NewSnapshot.make(snapshotPath, overwrite: true, forServer: true) {
            (temporary) throws(StorageError) in try buildFromAOF(files, rdb, temporary, data)
        }
        if let rdb, server.config.settings.appendOnlyChoice == true {
            server.logger.notice("\(rdb) is not imported: with `appendonly yes`, the append-only files are the data")
        }
        server.logger.notice(
            "Imported \(server.keyspace.count) keys, \(commands) commands replayed; \(names) are not needed any more")
        return meta
    }

    private func buildFromAOF(
        _ files: AOFFiles, _ rdb: String?, _ temporary: String, _ data: DataDirectory
    ) throws(StorageError) -> (Meta, commands: Int) {
        var commandsAt: Int64 = 0
        var base: Meta?
        if try AOFReader.beginsWithRDB(files.paths[0]) {
            // Keys that have expired stay: commands that follow may depend on them.
            let summary = try importRDB(files.paths[0], at: temporary, dropExpiredAt: nil, hasTail: true)
            for line in summary.mendings { server.logger.warning("\(files.paths[0]): \(line)") }
            base = try data.loadSnapshot(from: temporary)
            commandsAt = summary.endOffset
        }
        expectLoading(bytes: Int(clamping: files.bytes))
        let logger = server.logger
        let replay = AOFReplay(server, self)
        replayer = replay.replayer
        defer {
            replayer = nil
            replay.end()
        }
        for (index, path) in files.paths.enumerated() {
            let reader = AOFReader(
                path: path, isLast: index == files.paths.count - 1,
                mayLeaveOutTail: server.config.settings.appendLoadTruncated, warn: { logger.warning($0) })
            replay.begin(path)
            try reader.read(from: index == 0 ? commandsAt : 0) { (arguments, offset) throws(StorageError) in
                try replay.apply(arguments, offset)
            }
        }
        server.keyspace.now = 0
        if let rdb { try check(files, against: rdb) }
        // A base without commands behind it is a snapshot already.
        if let base, replay.commands == 0 { return (base, 0) }
        let meta = Meta(
            server: base?.server ?? DataDirectory.makeServerID(), checkpoint: (base?.checkpoint ?? 0) + 1,
            savedAtMs: wallClockMilliseconds(), segment: 0,
            segmentOffset: 0, replicationID: server.stream.id,
            replicationOffset: Int64(server.stream.offset))
        try OfflineCheckpoint.write(server.keyspace, to: temporary, meta)
        return (meta, replay.commands)
    }

    // MARK: - Later

    /// Something of Redis's that was written after the snapshot is not read any more: it may be what the user means.
    func warnOfNewerRedisData(_ meta: Meta) {
        let settings = server.config.settings
        let directory = settings.directory
        let snapshotPath = data?.snapshotPath ?? ""
        let folder = directory + "/" + settings.appendDirectoryName
        for path in [
            directory + "/" + settings.dbFileName, directory + "/" + settings.appendFileName,
            folder + "/" + settings.appendFileName + ".manifest",
        ] {
            guard let facts = FileFacts.of(path), facts.size > 0, facts.modified / 1_000_000 > meta.savedAtMs else {
                continue
            }
            server.logger.warning(
                "\(path) was written after the snapshot \(snapshotPath), and is not read: the snapshot is the data. Move "
                    + "the snapshot, its log and swiftlet.lock away to import it")
        }
    }
}
