import Glibc
import Testing

@testable import Server
@testable import Storage

@Suite struct JobsTests {
    private struct Failure: Error, Equatable {}

    /// Until `condition`, as the loop would do it when it is woken.
    private func complete(_ jobs: Jobs, until condition: () -> Bool) {
        while !condition() {
            var descriptor = pollfd(fd: jobs.waker.descriptor, events: Int16(POLLIN), revents: 0)
            #expect(poll(&descriptor, 1, 20_000) == 1)
            jobs.waker.acknowledge()
            jobs.complete()
        }
    }

    @Test func whatIsMadeComesBackOnce() {
        let jobs = Jobs()
        var made: [Result<Int, Failure>] = []
        var units = 0
        jobs.run = { completion in
            units += 1
            completion()
        }
        for i in 0..<20 {
            jobs.start("test") { (_) throws(Failure) -> Int in
                if i % 5 == 0 { throw Failure() }
                return i
            } completion: {
                made.append($0)
            }
        }
        complete(jobs) { made.count == 20 }
        #expect(units == 20)
        #expect(made.compactMap { try? $0.get() }.sorted() == (0..<20).filter { $0 % 5 != 0 })
        #expect(made.count { $0 == .failure(Failure()) } == 4)
        jobs.complete()
        #expect(made.count == 20)
    }

    /// A cancelled job ends as its work says, and its completion runs too.
    @Test func cancelling() {
        let jobs = Jobs()
        var outcome: Result<Bool, Failure>?
        let job = jobs.start("test") { (job) throws(Failure) -> Bool in
            while !job.isCancelled { job.done.add(1, ordering: .relaxed) }
            throw Failure()
        } completion: {
            outcome = $0
        }
        while job.done.load(ordering: .relaxed) == 0 {}
        #expect(outcome == nil)
        job.cancel()
        complete(jobs) { outcome != nil }
        #expect(outcome == .failure(Failure()))
    }

    /// The end of the process waits for those that end, and no completion runs.
    @Test func cancellingAll() {
        let jobs = Jobs()
        var completions = 0
        let all = (0..<3).map { _ in
            jobs.start("test") { (job) throws(Failure) in
                while !job.isCancelled { usleep(100) }
            } completion: { _ in
                completions += 1
            }
        }
        jobs.cancelAll(within: 20_000_000_000)
        #expect(all.allSatisfy(\.hasEnded) && completions == 0)
    }

    /// However often it is called before the loop looks: one wake-up; and another for what comes after.
    @Test func wakingOnce() {
        let waker = Waker()
        func signals() -> UInt64 {
            var count: UInt64 = 0
            return read(waker.descriptor, &count, 8) == 8 ? count : 0
        }
        for _ in 0..<5 { waker.wake() }
        #expect(signals() == 1)
        waker.wake()
        #expect(signals() == 0)
        waker.acknowledge()
        waker.wake()
        #expect(signals() == 1)
    }
}
