import Storage

/// The subcommands of CLIENT that are about client-side caching.
enum TrackingCommands {
    static var subcommands: [Command] {
        [
            .connection(
                "tracking", -3, [], "6.0.0",
                """
                status(ON|OFF) [REDIRECT client-id:i] [PREFIX prefix....] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]
                """, "Controls the tracking of keys that the connection may have cached.", tracking
            ).complexity("O(1). Some options may introduce additional complexity."),
            .connection(
                "caching", 3, [], "6.0.0", "mode(YES|NO)",
                "Says whether the keys of the next command are tracked.", caching),
            .connection(
                "getredir", 2, [], "6.0.0", "",
                "Returns the id of the connection that gets the invalidation messages.", getRedirection),
            .connection(
                "trackinginfo", 2, [], "6.2.0", "", "Describes the tracking of keys for the connection.",
                trackingInfo),
        ]
    }

    // MARK: - CLIENT TRACKING

    /// The options as they were given, before it is asked whether they agree.
    private struct Given {
        var options = TrackingOptions()
        var redirection: Session?
        var prefixes: [Bytes] = []
    }

    @Sendable private static func tracking(_ c: ConnectionContext) throws(CommandError) {
        let given = try parse(c)
        if c.args[2].equals(ignoringCase: "on") {
            try checkOptions(given, c.session.flags)
            try c.services.tracking.enable(
                c.session, given.options, redirection: given.redirection, prefixes: given.prefixes)
        } else if c.args[2].equals(ignoringCase: "off") {
            c.services.tracking.disable(c.session)
        } else {
            throw .syntax
        }
        c.reply.ok()
    }

    private static func parse(_ c: ConnectionContext) throws(CommandError) -> Given {
        var given = Given()
        var i = 3
        while i < c.args.count {
            let option = c.args[i]
            let hasMore = i + 1 < c.args.count
            if option.equals(ignoringCase: "redirect") && hasMore {
                i += 1
                if given.redirection != nil {
                    throw CommandError("ERR A client can only redirect to a single other client")
                }
                let id = try c.args.integer(i)
                guard let session = UInt64(exactly: id).flatMap({ c.services.router.sessions[$0] }) else {
                    throw CommandError("ERR The client ID you want redirect to does not exist")
                }
                given.redirection = session
            } else if option.equals(ignoringCase: "bcast") {
                given.options.isBroadcast = true
            } else if option.equals(ignoringCase: "optin") {
                given.options.isOptIn = true
            } else if option.equals(ignoringCase: "optout") {
                given.options.isOptOut = true
            } else if option.equals(ignoringCase: "noloop") {
                given.options.isNoLoop = true
            } else if option.equals(ignoringCase: "prefix") && hasMore {
                i += 1
                given.prefixes.append(c.args[i])
            } else {
                throw .syntax
            }
            i += 1
        }
        return given
    }

    /// Throws where options do not agree with each other, or with how the client tracks already.
    private static func checkOptions(_ given: Given, _ flags: ClientFlags) throws(CommandError) {
        let options = given.options
        if !options.isBroadcast && !given.prefixes.isEmpty {
            throw CommandError("ERR PREFIX option requires BCAST mode to be enabled")
        }
        if flags.contains(.tracking) && flags.contains(.trackingBroadcast) != options.isBroadcast {
            throw cannotSwitch("BCAST mode on/off")
        }
        if options.isBroadcast && (options.isOptIn || options.isOptOut) {
            throw CommandError("ERR OPTIN and OPTOUT are not compatible with BCAST")
        }
        if options.isOptIn && options.isOptOut {
            throw CommandError("ERR You can't specify both OPTIN mode and OPTOUT mode")
        }
        if options.isOptIn && flags.contains(.trackingOptOut) || options.isOptOut && flags.contains(.trackingOptIn) {
            throw cannotSwitch("OPTIN/OPTOUT mode")
        }
    }
    private static func cannotSwitch(_ what: StaticString) -> CommandError {
        CommandError(
            "ERR You can't switch \(what) before disabling tracking for this client, and then re-enabling it with a "
                + "different mode.")
    }

    // MARK: - CLIENT CACHING

    @Sendable private static func caching(_ c: ConnectionContext) throws(CommandError) {
        guard c.session.flags.contains(.tracking) else {
            throw CommandError(
                "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode "
                    + "enabled")
        }
        if c.args[2].equals(ignoringCase: "yes") {
            guard c.session.flags.contains(.trackingOptIn) else {
                throw CommandError("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
            }
        } else if c.args[2].equals(ignoringCase: "no") {
            guard c.session.flags.contains(.trackingOptOut) else {
                throw CommandError("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
            }
        } else {
            throw .syntax
        }
        c.session.flags.insert(.cachingGiven)
        c.reply.ok()
    }

    // MARK: - What there is

    @Sendable private static func getRedirection(_ c: ConnectionContext) throws(CommandError) {
        c.reply.integer(c.session.trackingRedirection)
    }

    @Sendable private static func trackingInfo(_ c: ConnectionContext) throws(CommandError) {
        let flags = c.session.flags
        var shown: [StaticString] = [flags.contains(.tracking) ? "on" : "off"]
        if flags.contains(.trackingBroadcast) { shown.append("bcast") }
        if flags.contains(.trackingOptIn) {
            shown.append("optin")
            if flags.contains(.cachingGiven) { shown.append("caching-yes") }
        }
        if flags.contains(.trackingOptOut) {
            shown.append("optout")
            if flags.contains(.cachingGiven) { shown.append("caching-no") }
        }
        if flags.contains(.trackingNoLoop) { shown.append("noloop") }
        if flags.contains(.trackingBroken) { shown.append("broken_redirect") }
        c.reply.map(3)
        c.reply.bulk("flags" as StaticString)
        c.reply.set(shown.count)
        for flag in shown { c.reply.bulk(flag) }
        c.reply.bulk("redirect" as StaticString)
        c.reply.integer(c.session.trackingRedirection)
        c.reply.bulk("prefixes" as StaticString)
        c.reply.array(c.services.tracking.prefixCount(of: c.session))
        c.services.tracking.forEachPrefix(of: c.session) { c.reply.bulk($0) }
    }
}
