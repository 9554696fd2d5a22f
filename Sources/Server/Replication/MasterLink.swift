import Storage

/// The link of a replica to its master. Confined to the loop.
final class MasterLink {
    let host: String
    let port: Int
    private unowned(unsafe) let control: ReplicationControl

    init(_ control: ReplicationControl, host: String, port: Int) {
        self.control = control
        self.host = host
        self.port = port
    }

    /// Commands of the master arrive and are executed.
    var isUp: Bool { false }

    func turnEnded() {}
    func woken() {}
    func cron() {}
}
