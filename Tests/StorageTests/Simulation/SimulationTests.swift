import Foundation
import TestSupport
import Testing

@testable import Storage

/// Crashes at any call of the storage, on a disk that loses what was not synced.
///
/// `SWIFTLET_CRASH_STATES` says how many, `SWIFTLET_SEED` with which seed; `make simulate` runs a million.
@Suite struct SimulationTests {
    @Test func crashesLoseNothingThatWasPromised() throws {
        let environment = ProcessInfo.processInfo.environment
        let wanted = environment["SWIFTLET_CRASH_STATES"].flatMap { Int($0) } ?? 300
        let first = testSeed()
        var done = 0
        var seed = first
        let began = monotonicNanoseconds()
        var failures = 0
        var (restored, refused) = (0, 0)
        while done < wanted && failures < 5 {
            var simulation = Simulation(seed: seed)
            do {
                try simulation.run(states: min(200, wanted - done))
            } catch {
                Issue.record("\(error)")
                failures += 1
            }
            done += simulation.states
            restored += simulation.restored
            refused += simulation.refused
            seed += 1
        }
        print(
            "simulation: \(done) crash states in \((monotonicNanoseconds() - began) / 1_000_000) ms, \(restored) moments "
                + "restored, \(refused) refused")
    }
}
