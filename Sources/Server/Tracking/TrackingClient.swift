import Storage

// Invariant of this file: sessions tell `Tracking` of their end, which lets go of them before they are freed.

/// How a client wants its keys tracked.
struct TrackingOptions {
    /// Tells of all keys with the client's prefixes, whether it has read them or not.
    var isBroadcast = false
    /// Only keys of commands that follow CLIENT CACHING YES, or only of those that do not follow CLIENT CACHING NO.
    var isOptIn = false
    var isOptOut = false
    /// Tells nothing of what the client itself has changed.
    var isNoLoop = false

    fileprivate static let flags: ClientFlags = [
        .tracking, .trackingBroadcast, .trackingBroken, .trackingOptIn, .trackingOptOut, .trackingNoLoop,
    ]
    fileprivate var flags: ClientFlags {
        var flags: ClientFlags = .tracking
        if isBroadcast { flags.insert(.trackingBroadcast) }
        if isOptIn { flags.insert(.trackingOptIn) }
        if isOptOut { flags.insert(.trackingOptOut) }
        if isNoLoop { flags.insert(.trackingNoLoop) }
        return flags
    }
}

extension Session {
    /// What the client tracks is as these options say from here on.
    func setTracking(_ options: TrackingOptions, redirectedTo id: UInt64?) {
        flags.subtract(TrackingOptions.flags)
        flags.formUnion(options.flags)
        trackingRedirection = id.map { Int64(clamping: $0) } ?? 0
    }
    func endTracking() {
        flags.subtract(TrackingOptions.flags)
        flags.remove(.cachingGiven)
        trackingRedirection = -1
    }
}

/// A client that others have their messages sent to.
final class Redirection {
    let id: UInt64
    /// nil once it is gone.
    unowned(unsafe) var session: Session?

    init(_ session: Session) {
        id = session.id
        self.session = session
    }
}

/// A client that tracks keys, or has done so.
final class TrackingClient {
    unowned(unsafe) let session: Session
    var redirection: Redirection?
    /// What it is told of in broadcast mode.
    var prefixes = PrefixTree<BroadcastPrefix>()

    init(_ session: Session) { self.session = session }
}
