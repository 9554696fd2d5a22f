import Glibc

/// Does to files what may take long and the loop does not wait for: a thread that makes way for others.
final class BackgroundFiles: Sendable {
    /// Makes, records and deletes names, in the order asked for.
    static let shared = BackgroundFiles("files")
    /// Gives blocks back.
    private static let truncations = BackgroundFiles("truncations")

    private let mailbox = Mailbox<@Sendable () -> Void>()

    private init(_ name: String) {
        let mailbox = mailbox
        startThread(named: name, isYielding: true) { while let job = mailbox.receive() { job() } }
    }

    /// Runs `job` after those given before.
    func run(_ job: @escaping @Sendable () -> Void) { mailbox.send(job) }

    /// Waits until the jobs given so far are done.
    func drain() {
        let done = Mailbox<Void>()
        run { done.send(()) }
        _ = done.receive()
    }

    /// Deletes a file. Its name goes at once, its blocks slice by slice on another thread: a file system that frees a
    /// gigabyte in one go holds up everybody's syncs for a third of a second. A file with another name keeps its contents.
    static func remove(_ path: String) {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        unlink(path)
        if file < 0 { return }
        truncations.run {
            var info = stat()
            if fstat(file, &info) == 0 && info.st_nlink == 0 {
                var size = Int(info.st_size)
                while size > slice {
                    size -= slice
                    if ftruncate(file, off_t(size)) != 0 { break }
                    usleep(pauseMicroseconds)
                }
            }
            close(file)
        }
    }
    private static let slice = 16 << 20
    private static let pauseMicroseconds: UInt32 = 5000
}
