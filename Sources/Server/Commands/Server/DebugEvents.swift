import Storage

/// DEBUG EVENTS: records what happens to keys, for tests of the events' names and order.
enum DebugEvents {
    /// Keeps what it hears of, until it is taken.
    private final class Recorder: KeyEventListener {
        let interest: EventClass = [.all, .keyMiss, .new]
        var events: [(name: StaticString, db: Int, key: [UInt8])] = []

        func happened(_ event: KeyEvent) { events.append((event.name, event.db, event.key.array)) }
    }

    /// ON, TAKE, OFF. TAKE answers name, database and key of each event since the last one.
    @Sendable static func reply(_ c: AdminContext) throws(CommandError) {
        let events = c.services.events
        let recorder = events.listener(Recorder.self)
        if c.args[2].equals(ignoringCase: "on") {
            if recorder == nil { events.add(Recorder()) }
            c.reply.ok()
        } else if c.args[2].equals(ignoringCase: "off") {
            if let recorder { events.remove(recorder) }
            c.reply.ok()
        } else if c.args[2].equals(ignoringCase: "take") {
            guard let recorder else { throw CommandError("ERR events are not recorded; see DEBUG EVENTS ON") }
            c.reply.array(recorder.events.count)
            for event in recorder.events {
                c.reply.array(3)
                c.reply.bulk(Bytes(event.name))
                c.reply.integer(event.db)
                event.key.withUnsafeBytes { c.reply.bulk($0.baseAddress.map { Bytes($0, event.key.count) } ?? Bytes()) }
            }
            recorder.events.removeAll()
        } else {
            throw .syntax
        }
    }
}
