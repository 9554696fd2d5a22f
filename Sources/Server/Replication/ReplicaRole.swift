// A STAND-IN for the replica's side.
extension ReplicationControl {
    func follow(_ master: HostAndPort, isStarting: Bool = false, failover: Bool = false) {}
    func becomeMaster() {}
}
