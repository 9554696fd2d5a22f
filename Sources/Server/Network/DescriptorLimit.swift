import Glibc

/// The system's limit of open files, `ulimit -n`.
enum DescriptorLimit {
    /// Descriptors that are not clients': files, listeners, the loop's own. What is left below them makes sure that a
    /// snapshot can be written while as many clients are connected as may be.
    static let reserved = 32

    /// Raises the soft limit so far that `clients` fit beside what the server needs itself, up to the hard limit. Returns how many clients fit: `clients`, or fewer, 0 and negative too.
    static func raise(for clients: Int) -> Int {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        let wanted = rlim_t(clamping: clients) + rlim_t(reserved)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return clients }
        if limit.rlim_cur < wanted {
            let before = limit
            limit.rlim_cur = min(wanted, limit.rlim_max)
            if setrlimit(resource, &limit) != 0 { limit = before }
        }
        return min(clients, Int(clamping: limit.rlim_cur) - reserved)
    }
}
