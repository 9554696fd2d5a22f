import Storage

/// Restores the keys that it is told on a target: as RESTORE, or, where a value is larger than a payload may be, as commands
/// in batches. Memory: a payload's limit a few times.
final class RestoreSink: KeyVisitor {
    struct Options {
        /// Replace keys that are there.
        var replaces = false
        /// The database that all keys go to; nil: their own.
        var database: Int32?
        /// Keep hashes without their fields' expiries where the target has none.
        var dropsFieldExpiries = false
        /// Bytes of a value beyond which it goes as commands.
        var largestPayload = 16 << 20
    }

    private(set) var outcome = RestoreOutcome()
    private let target: RemoteTarget
    private let options: Options
    private let journal: RestoreJournal
    private let writer: PayloadWriter

    // The key in hand.
    private let key = OutputBuffer()
    private var type = ValueType.string
    private var database: Int32 = 0
    private var expiresMs: Int64?
    /// -1 before the first.
    private var ordinal = -1
    /// Its elements, until they are too many.
    private let rows = RowBatch()
    private var commands: ValueCommands?
    /// It is read and not sent.
    private var isSkipped = false
    private var losesFieldExpiries = false

    init(_ target: RemoteTarget, _ options: Options, _ journal: RestoreJournal) {
        self.target = target
        self.options = options
        self.journal = journal
        writer = PayloadWriter(version: target.identity.payloadVersion, compresses: true)
        target.finished = { [unowned self] request, outcome in finished(request, outcome) }
    }

    /// Waits for all answers. Call after the last key.
    func finish() throws(StorageError) {
        try remote { () throws(RemoteError) in try target.finish() }
        try journal.note(done: ordinal + 1)
    }

    /// Runs what asks the target.
    private func remote<T>(_ body: () throws(RemoteError) -> T) throws(StorageError) -> T {
        do throws(RemoteError) { return try body() } catch { throw error.asStorageError(target.endpoint) }
    }

    // MARK: - What is told

    func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) {
        try open(.string, key)
        if isSkipped { return }
        if value.count <= options.largestPayload { return try restore(writer.string(value)) }
        guard let commands = try beginCommands() else { return }
        try remote { () throws(RemoteError) in try commands.string(value) }
        try endCommands()
    }

    func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) { try open(type, key) }

    func element(_ value: Bytes) throws(StorageError) {
        if isSkipped { return }
        if type == .list {
            rows.appendListItem(owner: 0, slot: 0, value)
        } else {
            rows.appendSetMember(owner: 0, slot: 0, value)
        }
        try sendIfLarge()
    }
    func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        if isSkipped { return }
        var expiry = expiresMs
        if expiry != nil && !PayloadWriter.hasFieldExpiries(writer.version) {
            guard options.dropsFieldExpiries else {
                throw StorageError(
                    file: target.endpoint.description,
                    message:
                        "the hash \(key.bytes.quoted) has fields that expire, which \(target.identity.description) "
                        + "has not; --drop-field-ttls restores it without those times")
            }
            expiry = nil
            losesFieldExpiries = true
        }
        rows.appendHashField(owner: 0, slot: 0, field, value, expiresMs: expiry)
        try sendIfLarge()
    }
    func scored(_ member: Bytes, _ score: Double) throws(StorageError) {
        if isSkipped { return }
        rows.appendZSetMember(owner: 0, slot: 0, member, score: score)
        try sendIfLarge()
    }
    func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) {
        if isSkipped { return }
        rows.appendStreamEntry(owner: 0, slot: 0, id: id, fields: fields)
        try sendIfLarge()
    }
    func streamRow(_ row: StreamRow) throws(StorageError) {
        if isSkipped { return }
        rows.appendStream(owner: 0, row)
        try sendIfLarge()
    }

    func end() throws(StorageError) {
        if isSkipped { return }
        if losesFieldExpiries { outcome.fieldExpiriesDropped += 1 }
        if commands != nil {
            try sendRows()
            return try endCommands()
        }
        try restore(try writer.collection(type, rows))
        rows.removeAll()
    }

    func function(_ name: Bytes, _ code: Bytes) throws(StorageError) {
        guard target.identity.isSeven else {
            outcome.refuse("the library of functions \(name.quoted)", "the target has no functions")
            return
        }
        for node in target.masters {
            let failure = try remote { () throws(RemoteError) in
                try target.load(function: code, on: node, replaces: options.replaces)
            }
            guard let failure else { continue }
            // The run that this one goes on with has loaded it, or found it there and said so.
            if journal.isResumed && failure.contains("already exists") { return }
            return outcome.refuse("the library of functions \(name.quoted)", failure)
        }
        outcome.functions += 1
    }

    // MARK: - Keys

    private func open(_ type: ValueType, _ key: VisitedKey) throws(StorageError) {
        ordinal += 1
        self.type = type
        self.key.removeAll(keepingAtMost: 1 << 20)
        self.key.append(key.key)
        expiresMs = key.expiresMs
        database = options.database ?? key.database
        rows.removeAll()
        losesFieldExpiries = false
        isSkipped = ordinal < journal.resumesAt
        if isSkipped { outcome.resumed += 1 }
        if database != 0 && target.isCluster && target.identity.payloadVersion < 80 {
            throw StorageError(
                file: target.endpoint.description,
                message: "a cluster has database 0 alone, and the key \(key.key.quoted) is of database \(database): "
                    + "name /0 behind the port to have all keys there")
        }
    }

    /// As RESTORE; `payload` is copied.
    private func restore(_ payload: Bytes) throws(StorageError) {
        let request = target.makeRequest()
        request.purpose = .restore
        request.ordinal = ordinal
        request.database = database
        let output = request.bytes
        RequestEncoder.header(4 + (expiresMs == nil ? 0 : 1) + (options.replaces ? 1 : 0), to: output)
        RequestEncoder.argument("RESTORE", to: output)
        RequestEncoder.argument(key.bytes, to: output)
        request.key = output.count - 2 - key.count..<output.count - 2
        // 0 means never.
        RequestEncoder.argument(String(expiresMs.map { max(1, $0) } ?? 0), to: output)
        RequestEncoder.argument(payload, to: output)
        if expiresMs != nil { RequestEncoder.argument("ABSTTL", to: output) }
        if options.replaces { RequestEncoder.argument("REPLACE", to: output) }
        try journal.begin(ordinal)
        try remote { () throws(RemoteError) in try target.send(request) }
        try journal.noteNow(done: finishedUpTo)
    }

    private func sendIfLarge() throws(StorageError) {
        if commands != nil {
            if rows.byteCount >= ValueCommands.batchSize { try sendRows() }
        } else if rows.byteCount > options.largestPayload {
            if try beginCommands() != nil { try sendRows() }
        }
    }

    private func sendRows() throws(StorageError) {
        guard let commands else { return }
        try remote { () throws(RemoteError) in try commands.send(rows) }
        rows.removeAll()
    }

    /// nil where the key is there and stays: it is skipped.
    private func beginCommands() throws(StorageError) -> ValueCommands? {
        try journal.begin(ordinal)
        // What is there was left by the run that this one goes on with.
        let isOurs = journal.partial == ordinal
        let isThere = try remote { () throws(RemoteError) in
            try target.ask(options.replaces || isOurs ? ["UNLINK"] : ["EXISTS"], about: key.bytes, in: database)
        }
        if let failure = isThere.failure {
            throw StorageError(file: target.endpoint.description, message: failure)
        }
        if !options.replaces && !isOurs && isThere.integer != 0 {
            isSkipped = true
            rows.removeAll()
            outcome.noteBusy(key.bytes.quoted)
            advance(ordinal)
            return nil
        }
        try journal.note(done: ordinal, partial: ordinal)
        let made = ValueCommands(target, type, key: key.bytes, ordinal: ordinal, database: database)
        commands = made
        return made
    }

    private func endCommands() throws(StorageError) {
        guard let commands else { return }
        self.commands = nil
        try remote { () throws(RemoteError) in
            try commands.end(expiresMs: expiresMs)
            try target.finish()
        }
        outcome.keys += 1
        outcome.asCommands += 1
        advance(ordinal)
        try journal.note(done: ordinal + 1)
    }

    // MARK: - Answers

    /// All keys below this number are done with.
    private var finishedUpTo = 0
    /// Those above that are.
    private var finishedEarly: Set<Int> = []

    private func finished(_ request: Request, _ result: RemoteTarget.Outcome) {
        if case .piece = request.purpose {
            if case .refused(let why) = result { outcome.refuse("a part of \(request.keyName)", why) }
            return
        }
        advance(request.ordinal)
        switch result {
        case .done: outcome.keys += 1
        case .busy:
            // It was sent before, or may have been.
            if request.isResent {
                outcome.keys += 1
            } else if request.ordinal < journal.mayHaveBeenSent {
                outcome.found += 1
            } else {
                outcome.noteBusy(request.keyName)
            }
        case .refused(let why): outcome.refuse(request.keyName, why)
        }
    }

    private func advance(_ ordinal: Int) {
        if ordinal != max(finishedUpTo, journal.resumesAt) {
            finishedEarly.insert(ordinal)
            return
        }
        finishedUpTo = ordinal + 1
        while finishedEarly.remove(finishedUpTo) != nil { finishedUpTo += 1 }
    }
}

/// What became of the keys.
struct RestoreOutcome {
    var keys = 0
    /// Of these, values that went as commands.
    var asCommands = 0
    var functions = 0
    /// Restored by the run that this one goes on with.
    var resumed = 0
    /// There already, and perhaps from that run.
    var found = 0
    var fieldExpiriesDropped = 0
    private(set) var busy = 0
    private(set) var busyNames: [String] = []
    private(set) var refused = 0
    /// Names with reasons.
    private(set) var refusals: [String] = []

    /// How many are named.
    private static let named = 10

    mutating func noteBusy(_ name: String) {
        busy += 1
        if busyNames.count < Self.named { busyNames.append(name) }
    }
    mutating func refuse(_ name: String, _ reason: String) {
        refused += 1
        if refusals.count < Self.named { refusals.append("\(name): \(reason)") }
    }
}
