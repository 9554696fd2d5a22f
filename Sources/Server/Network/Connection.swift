import NIOCore
import Storage

/// One connection: its bytes go to the server as they come, its replies leave at the end of the turn. The only handler
/// on its channel. Confined to the loop.
final class Connection: Transport, ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Bytes handed to the channel at once: what is copied while the socket is full.
    private static let piece = 64 << 10
    /// Capacity of the output that an idle connection keeps.
    private static let keptOutput = 16 << 10

    private unowned(unsafe) let network: Network
    private var context: ChannelHandlerContext?
    private(set) var client: Client?
    /// Bytes of the client's output that the channel has.
    private var sent = 0
    /// The channel takes more; false while the socket is full.
    private var isWritable = true
    /// Since when the output has been above the soft limit, in seconds; 0: it is not.
    private var overSoftLimitSince: Int64 = 0

    /// The network's lists have this connection already.
    var isReady = false
    var isWaiting = false
    var isResuming = false

    init(_ network: Network) {
        self.network = network
        super.init()
    }

    // MARK: - The channel's events

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        guard let client = network.server.connect(self) else {
            return refuse(.tooManyClients, context)
        }
        self.client = client
        Addresses.describe(client, context.channel)
        if isForbidden(client) {
            network.server.disconnect(client)
            self.client = nil
            network.server.statistics.connectionsRejected += 1
            return refuse(.protectedMode, context)
        }
        network.add(self)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let client else { return }
        unwrapInboundIn(data).withUnsafeReadableBytes { bytes in
            if let base = bytes.baseAddress { network.server.receive(client, Bytes(base, bytes.count)) }
        }
        scheduleFlush()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        guard let client else { return }
        self.client = nil
        network.remove(self)
        network.server.disconnect(client)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        if isWritable { scheduleFlush() }
    }

    /// The other side sends no more: what it is still owed goes out, then the connection ends.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        guard let client else { return context.close(promise: nil) }
        client.flags.insert(.closeAfterReply)
        scheduleFlush()
    }

    /// A reset by the other side and the like: the connection is over.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    // MARK: - Refusing

    /// Without a password, only this machine is let in.
    private func isForbidden(_ client: Client) -> Bool {
        let settings = network.server.config.settings
        return settings.protectedMode && settings.requirePass.isEmpty && !client.isLocal
    }

    private func refuse(_ error: CommandError, _ context: ChannelHandlerContext) {
        let buffer = ByteBuffer(string: "-\(error.text)\r\n")
        let context = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.value.writeAndFlush(wrapOutboundOut(buffer)).whenComplete { _ in context.value.close(promise: nil) }
    }

    // MARK: - Output

    override func scheduleFlush() { network.ready(self) }
    override func scheduleResume() { network.resume(self) }
    override func close() { context?.close(promise: nil) }

    /// Sends what may leave. False when it must wait for the log.
    func flush() -> Bool {
        guard let client, let context else { return true }
        let output = client.output
        if output.count == sent && !client.flags.contains(.closeAfterReply) { return true }
        if client.ackPosition > network.server.acknowledgedPosition { return false }
        let before = sent
        while sent < output.count && isWritable {
            let length = min(Self.piece, output.count - sent)
            let last = sent + length == output.count
            network.scratch.clear()
            network.scratch.writeBytes(UnsafeRawBufferPointer(start: output.base + sent, count: length))
            sent += length
            if last && client.flags.contains(.closeAfterReply) {
                closeAfter(context)
            } else {
                context.writeAndFlush(NIOAny(network.scratch), promise: nil)
            }
        }
        network.server.statistics.bytesWritten &+= sent - before
        if sent == output.count {
            output.removeAll(keepingAtMost: Self.keptOutput)
            if before == sent && client.flags.contains(.closeAfterReply) { context.close(promise: nil) }
            sent = 0
            overSoftLimitSince = 0
        } else {
            if sent > 1 << 20 && sent > output.count / 2 {
                output.removeFirst(sent)
                sent = 0
            }
            if isOverLimit(client) {
                network.server.log.warning(
                    "Client id=\(client.id) addr=\(client.address) scheduled to be closed ASAP for overcoming of output "
                        + "buffer limits.")
                context.close(promise: nil)
            }
        }
        return true
    }

    /// Writes the last piece and ends the connection when it has left.
    private func closeAfter(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(network.scratch)).whenComplete { _ in bound.value.close(promise: nil) }
    }

    /// Whether more is waiting to be sent than `client-output-buffer-limit` has for this class of client.
    private func isOverLimit(_ client: Client) -> Bool {
        let limits = network.server.config.settings.outputBufferLimits
        let limit =
            switch ClientType(client) {
            case .normal, .master: limits.normal
            case .replica: limits.replica
            case .pubsub: limits.pubsub
            }
        let waiting = client.output.count - sent
        if limit.hard > 0 && waiting > limit.hard { return true }
        guard limit.soft > 0 && waiting > limit.soft else {
            overSoftLimitSince = 0
            return false
        }
        let now = network.server.keyspace.now / 1000
        if overSoftLimitSince == 0 { overSoftLimitSince = now }
        return now - overSoftLimitSince > limit.softSeconds
    }
}

/// How addresses show in CLIENT LIST.
private enum Addresses {
    static func describe(_ client: Client, _ channel: any Channel) {
        let remote = channel.remoteAddress
        let local = channel.localAddress
        if case .unixDomainSocket? = local {
            let path = (local?.pathname ?? "") + ":0"
            client.address = path
            client.localAddress = path
            client.flags.insert(.unixSocket)
            client.isLocal = true
            return
        }
        client.address = text(remote)
        client.localAddress = text(local)
        let host = remote?.ipAddress ?? ""
        client.isLocal = host.hasPrefix("127.") || host == "::1"
    }

    private static func text(_ address: SocketAddress?) -> String {
        guard let address, let host = address.ipAddress, let port = address.port else { return "?:0" }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
