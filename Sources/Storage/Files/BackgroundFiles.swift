/// Does to files what may take long and the loop does not wait for: threads that yield to others.
final class BackgroundFiles: Sendable {
    private typealias Job = @Sendable () -> Void

    private let files: any FileSystem
    private let threads: any Threads
    /// What makes, records and deletes names, in the order asked for.
    private let names = Mailbox<Job>()
    /// What gives blocks back.
    private let truncations = Mailbox<Job>()

    init(_ files: any FileSystem, _ threads: any Threads) {
        self.files = files
        self.threads = threads
        threads.serve(names, named: "files", isYielding: true) { { $0() } }
        threads.serve(truncations, named: "truncations", isYielding: true) { { $0() } }
    }
    deinit {
        names.close()
        truncations.close()
    }

    /// Runs `job` after those given before.
    func run(_ job: @escaping @Sendable () -> Void) { names.send(job) }

    /// Waits until the jobs given so far are done.
    func drain() {
        let done = Mailbox<Void>()
        run { done.send(()) }
        _ = threads.receive(done)
    }

    /// Deletes a file. Its name goes at once, its blocks slice by slice on another thread: a file system that frees a
    /// gigabyte in one go holds up everybody's syncs for a third of a second. A file with another name keeps its contents.
    func remove(_ path: String) {
        let file = try? files.open(path, .write)
        files.remove(path)
        guard let file else { return }
        truncations.send { [files, threads] in
            if let facts = try? files.facts(file), facts.links == 0 {
                var size = facts.size
                while size > BackgroundFiles.slice {
                    size -= BackgroundFiles.slice
                    do throws(FileError) { try files.truncate(file, to: size) } catch { break }
                    threads.pause(microseconds: BackgroundFiles.pauseMicroseconds)
                }
            }
            files.close(file)
        }
    }
    private static let slice: Int64 = 16 << 20
    private static let pauseMicroseconds: UInt32 = 5000
}
