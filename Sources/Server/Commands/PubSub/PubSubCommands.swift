import Storage

/// Publishing, subscribing, and what there is to know about both.
enum PubSubCommands {
    static var table: [Command] {
        CommandGroup.pubsub.rows([pubsub])
            + CommandGroup.pubsub.rows([.pubsub, .loading, .stale], [publish, shardPublish])
            + CommandGroup.pubsub.rows([.pubsub, .noscript, .loading, .stale, .whileSubscribed], subscriptions)
    }

    private static var subscriptions: [Command] {
        [
            .connection(
                "subscribe", -2, [], "2.0.0", "channel...", "Subscribes the connection to channels.",
                { c throws(CommandError) in try subscribe(c, .channel) }
            ).channels(.all(isPattern: false)).complexity("O(N) for N channels"),
            .connection(
                "unsubscribe", -1, [], "2.0.0", "[channel...]",
                "Ends subscriptions to channels, or to all of them.",
                { c throws(CommandError) in unsubscribe(c, .channel) }
            ).complexity("O(N) for N channels"),
            .connection(
                "psubscribe", -2, [], "2.0.0", "pattern{pattern:p}...",
                "Subscribes the connection to the channels that match patterns.",
                { c throws(CommandError) in try subscribe(c, .pattern) }
            ).channels(.all(isPattern: true)).complexity("O(N) for N patterns"),
            .connection(
                "punsubscribe", -1, [], "2.0.0", "[pattern:p...]",
                "Ends subscriptions to patterns, or to all of them.",
                { c throws(CommandError) in unsubscribe(c, .pattern) }
            ).complexity("O(N) for N patterns"),
            .connection(
                "ssubscribe", -2, [], "7.0.0", "shardchannel...", "Subscribes the connection to shard channels.",
                { c throws(CommandError) in try subscribe(c, .shardChannel) }
            ).channels(.all(isPattern: false)).keys([.keys(.notKey)]).complexity("O(N) for N shard channels"),
            .connection(
                "sunsubscribe", -1, [], "7.0.0", "[shardchannel...]",
                "Ends subscriptions to shard channels, or to all of them.",
                { c throws(CommandError) in unsubscribe(c, .shardChannel) }
            ).keys([.keys(.notKey)]).complexity("O(N) for N shard channels"),
        ]
    }

    private static var publish: Command {
        .connection(
            "publish", 3, [.fast, .mayReplicate], "2.0.0", "channel message", "Publishes a message to a channel.",
            { c throws(CommandError) in publish(c, .channel) }
        ).channels(.first).complexity("O(N+M) for N subscribers and M patterns")
    }

    private static var shardPublish: Command {
        .connection(
            "spublish", 3, [.fast, .mayReplicate], "7.0.0", "shardchannel message",
            "Publishes a message to a shard channel.",
            { c throws(CommandError) in publish(c, .shardChannel) }
        ).channels(.first).keys([.key(.notKey)]).complexity("O(N) for N subscribers")
    }

    private static var pubsub: Command {
        .container(
            "pubsub", "2.8.0", "Inspects channels and subscribers.", [.pubsub, .loading, .stale],
            [
                .connection(
                    "channels", -2, [], "2.8.0", "[pattern:p]", "Lists the channels that have subscribers.",
                    { c throws(CommandError) in try listNames(c, .channel) }
                ).complexity("O(N) for N channels"),
                .connection(
                    "numsub", -2, [], "2.8.0", "[channel...]", "Counts the subscribers of channels.",
                    { c throws(CommandError) in countSubscribers(c, .channel) }
                ).complexity("O(N) for N channels"),
                .connection(
                    "numpat", 2, [], "2.8.0", "", "Counts the patterns that are subscribed to.",
                    { c throws(CommandError) in c.reply.integer(c.services.pubsub.count(of: .pattern)) }),
                .connection(
                    "shardchannels", -2, [], "7.0.0", "[pattern:p]", "Lists the shard channels that have subscribers.",
                    { c throws(CommandError) in try listNames(c, .shardChannel) }
                ).complexity("O(N) for N channels"),
                .connection(
                    "shardnumsub", -2, [], "7.0.0", "[shardchannel...]", "Counts the subscribers of shard channels.",
                    { c throws(CommandError) in countSubscribers(c, .shardChannel) }
                ).complexity("O(N) for N channels"),
                .help("6.2.0"),
            ])
    }

    // MARK: - Publishing

    private static func publish(_ c: ConnectionContext, _ kind: TopicKind) {
        let stream = c.services.stream
        // What a log has of messages was heard when it was written.
        if stream.isReplayed && c.session.flags.contains(.internal) { return c.reply.integer(0) }
        c.reply.integer(c.services.pubsub.publish(c.args[2], to: c.args[1], kind))
        // A message changes no data: it is for the subscribers of replicas, not for the log.
        if stream.reachesReplicas && !stream.isRelayed {
            let name: StaticString = kind == .shardChannel ? "spublish" : "publish"
            stream.append(c.session.db, rewritten: [Bytes(name), c.args[1], c.args[2]])
        }
    }

    // MARK: - Subscriptions

    private static func subscribe(_ c: ConnectionContext, _ kind: TopicKind) throws(CommandError) {
        // Who gets no messages must not wait for them: scripts, and logs. EXEC lets all pass but shard channels.
        if c.session.flags.contains(.internal) || kind == .shardChannel && c.session.flags.contains(.denyBlocking) {
            throw CommandError("ERR \("\(kind.subscribed)".uppercased()) isn't allowed for a DENY BLOCKING client")
        }
        let reply = c.session.pushReply
        for i in 1..<c.args.count {
            c.services.pubsub.subscribe(c.session, to: c.args[i], kind)
            confirm(reply, kind.subscribed, c.args[i], c.session, kind)
        }
    }

    private static func unsubscribe(_ c: ConnectionContext, _ kind: TopicKind) {
        let reply = c.session.pushReply
        let pubsub = c.services.pubsub
        if c.args.count > 1 {
            for i in 1..<c.args.count {
                pubsub.unsubscribe(c.session, from: c.args[i], kind)
                confirm(reply, kind.unsubscribed, c.args[i], c.session, kind)
            }
            return
        }
        var isConfirmed = false
        pubsub.unsubscribeAll(c.session, kind) {
            confirm(reply, kind.unsubscribed, $0, c.session, kind)
            isConfirmed = true
        }
        if !isConfirmed { confirm(reply, kind.unsubscribed, nil, c.session, kind) }
    }

    /// Answers what was done, with how many subscriptions there are now: channels and patterns count together.
    private static func confirm(
        _ reply: ReplyWriter, _ what: StaticString, _ name: Bytes?, _ session: Session, _ kind: TopicKind
    ) {
        reply.push(3)
        reply.bulk(what)
        if let name { reply.bulk(name) } else { reply.null() }
        switch kind {
        case .channel, .pattern: reply.integer(session.channelSubscriptions + session.patternSubscriptions)
        case .shardChannel: reply.integer(session.shardSubscriptions)
        }
    }

    // MARK: - What there is

    private static func listNames(_ c: ConnectionContext, _ kind: TopicKind) throws(CommandError) {
        if c.args.count > 3 { throw .subcommandSyntax(c.args) }
        let pattern = c.args.count == 3 ? c.args[2] : nil
        let mark = c.reply.deferredArray()
        var count = 0
        c.services.pubsub.forEachName(kind) { name in
            if let pattern, !stringmatch(pattern, name) { return }
            c.reply.bulk(name)
            count += 1
        }
        c.reply.fill(mark, count)
    }

    private static func countSubscribers(_ c: ConnectionContext, _ kind: TopicKind) {
        c.reply.array(2 * (c.args.count - 2))
        for i in 2..<c.args.count {
            c.reply.bulk(c.args[i])
            c.reply.integer(c.services.pubsub.subscriberCount(of: c.args[i], kind))
        }
    }
}
