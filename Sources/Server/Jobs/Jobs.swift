import Glibc
import Storage
import Synchronization

/// Work on another thread, as both sides see it.
final class BackgroundJob: Sendable {
    private let cancelled = Atomic<Bool>(false)
    fileprivate let ended = Atomic<Bool>(false)
    /// How much there is to do and how much is done, in a unit of the work's own; 0 until it says.
    let total = Atomic<Int>(0)
    let done = Atomic<Int>(0)

    /// Asks the work to end early. Its completion runs all the same, with what the work makes of it.
    func cancel() { cancelled.store(true, ordering: .relaxed) }
    /// For the work to look at now and then.
    var isCancelled: Bool { cancelled.load(ordering: .relaxed) }
    /// The thread has nothing more to do; what it has made is there.
    var hasEnded: Bool { ended.load(ordering: .acquiring) }
}

/// Hands work to threads, and what they made back to the loop. Confined to the loop but for the work itself.
///
/// Each completion runs exactly once, on the loop, whether the work succeeded, failed or was cancelled; only the end of
/// the process comes before it.
final class Jobs {
    /// Wakes the loop when a job has ended.
    let waker: Waker
    /// Runs a completion: whoever owns execution units makes it one.
    var run: (_ completion: () -> Void) -> Void = { $0() }

    private let ended = Mailbox<Int>()
    private var running: [Int: (job: BackgroundJob, complete: () -> Void)] = [:]
    private var lastNumber = 0

    init(_ waker: Waker = Waker()) { self.waker = waker }

    /// Starts `work` on a thread called `name` (15 bytes at most show), and has `completion` run on the loop with what it
    /// returned or threw. What goes in and what comes out is owned by the side that has it. `isYielding`: the work is long,
    /// and does not interrupt the loop where they share a core.
    @discardableResult
    func start<Output: Sendable, Failure: Error>(
        _ name: String, isYielding: Bool = false, _ work: @escaping @Sendable (BackgroundJob) throws(Failure) -> Output,
        completion: @escaping (Result<Output, Failure>) -> Void
    ) -> BackgroundJob {
        lastNumber += 1
        let number = lastNumber
        let job = BackgroundJob()
        let outcome = Mailbox<Result<Output, Failure>>()
        running[number] = (job, { if let outcome = outcome.poll() { completion(outcome) } })
        startThread(named: name, isYielding: isYielding) { [ended, waker] in
            do throws(Failure) {
                outcome.send(.success(try work(job)))
            } catch {
                outcome.send(.failure(error))
            }
            job.ended.store(true, ordering: .releasing)
            ended.send(number)
            waker.wake()
        }
        return job
    }

    /// Runs the completions of the jobs that have ended, in the order in which they did.
    func complete() {
        while let number = ended.poll() {
            if let finished = running.removeValue(forKey: number) { run(finished.complete) }
        }
    }

    /// The process ends: asks all jobs to end early, and waits up to `nanoseconds` until they have. No completion runs.
    func cancelAll(within nanoseconds: UInt64) {
        for (job, _) in running.values { job.cancel() }
        let deadline = monotonicNanoseconds() + nanoseconds
        for (job, _) in running.values { while !job.hasEnded && monotonicNanoseconds() < deadline { usleep(1000) } }
    }
}
