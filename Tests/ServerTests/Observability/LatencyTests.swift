import Storage
import Testing
import TestSupport

@testable import Server

@Suite struct LatencyHistogramTests {
    @Test func rangesFollowEachOtherAndAreNarrow() {
        var next: UInt64 = 0
        var slot = 0
        while next < 1 << 30 {
            let range = LatencyHistogram.range(of: slot)
            #expect(range.lowerBound == next)
            #expect(range.upperBound - range.lowerBound <= range.lowerBound / 100)
            next = range.upperBound + 1
            slot += 1
        }
        #expect(next == 1 << 30)
    }

    /// As redis-server 7.0.15 shows calls of these lengths.
    @Test func doublingsAreNamedAsInRedis() {
        var histogram = LatencyHistogram()
        defer { histogram.deallocate() }
        for nanoseconds: UInt64 in [0, 1, 900, 1500, 30_000, 32_768, 16_000_000, 5_000_000_000] {
            histogram.record(nanoseconds: nanoseconds)
        }
        #expect(histogram.distribution().map(\.microseconds) == [1, 2, 33, 16908, 1_073_741])
        #expect(histogram.distribution().map(\.calls) == [3, 4, 6, 7, 8])
        #expect(histogram.total == 8)
        histogram.removeAll()
        #expect(histogram.distribution().isEmpty && histogram.total == 0)
        #expect(histogram.nanoseconds(percentile: 50) == 0)
    }

    @Test func percentilesAreWithinAHundredthOfTheSorted() {
        var random = SeededRandom(testSeed())
        var histogram = LatencyHistogram()
        defer { histogram.deallocate() }
        let values = (0..<20_000).map { _ in
            UInt64.random(in: 1...(1 << UInt64.random(in: 4...29, using: &random)), using: &random)
        }
        for value in values { histogram.record(nanoseconds: value) }
        let sorted = values.sorted()
        for percentile in [0.0, 1, 50, 99, 99.9, 100] {
            let rank = max(1, Int((percentile / 100 * Double(values.count)).rounded()))
            let exact = Double(sorted[rank - 1])
            let found = Double(histogram.nanoseconds(percentile: percentile))
            #expect(abs(found - exact) <= exact / 100 + 1, "\(percentile)")
        }
    }
}

@Suite struct LatencyMonitorTests {
    @Test func whatIsShorterThanTheThresholdIsNoEvent() {
        let monitor = LatencyMonitor()
        monitor.note(.command, milliseconds: 1000)
        #expect(monitor.events.isEmpty)
        monitor.threshold = 10
        monitor.note(.command, milliseconds: 9)
        monitor.note(.expireCycle, nanoseconds: 9_999_999)
        #expect(monitor.events.isEmpty)
        monitor.note(.expireCycle, nanoseconds: 10_000_000)
        #expect(monitor.events == [.expireCycle])
        #expect(monitor.reset(.expireCycle) && !monitor.reset(.expireCycle))
    }

    @Test func aSecondHasOneSampleAndASeriesAtMost160() throws {
        let monitor = LatencyMonitor()
        monitor.threshold = 1
        // Within a second or two, as the clock has it.
        for milliseconds in [5, 7, 6] { monitor.note(.command, milliseconds: milliseconds) }
        var series = try #require(monitor.series(of: .command))
        #expect(series.samples.count <= 2 && series.longest == 7)
        #expect(series.samples.map(\.milliseconds).max() == 7)
        for i in 0..<200 {
            Clock.advance(nanoseconds: 1_000_000_000)
            monitor.note(.command, milliseconds: 1 + i % 5)
        }
        series = try #require(monitor.series(of: .command))
        #expect(series.samples.count == 160 && series.longest == 7)
        let summary = series.summary(now: series.samples[0].seconds + 320)
        #expect(summary == .init(mean: 3, deviation: 1, least: 1, most: 5, period: 2))
    }

    @Test func aGraphHasAColumnForEachSample() throws {
        let monitor = LatencyMonitor()
        monitor.threshold = 1
        for milliseconds in [100, 400, 200, 101] {
            Clock.advance(nanoseconds: 2_000_000_000)
            monitor.note(.command, milliseconds: milliseconds)
        }
        let series = try #require(monitor.series(of: .command))
        let lines = LatencyReport.graph(.command, series, now: series.samples[3].seconds + 3600).split(
            separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[0] == "command - high 400 ms, low 100 ms (all time high 400 ms)")
        #expect(lines[1] == String(repeating: "-", count: 80))
        #expect(lines[2...5].elementsEqual([" #  ", " |  ", " |_ ", "_||_"]))
        #expect(lines[6...8].elementsEqual(["    ", "1111", "hhhh"]))
    }
}
