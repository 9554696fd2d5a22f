import Testing

@testable import Storage

@Suite struct RestoreTargetTests {
    @Test(arguments: [
        ("2026-11-26 14:03:00", 1_795_701_780), ("2026-11-26T14:03:00Z", 1_795_701_780),
        ("2026-11-26 14:03:00.999", 1_795_701_780), ("2026-11-26 16:03:00+02:00", 1_795_701_780),
        ("2026-11-26 16:03:00 +0200", 1_795_701_780), ("2026-11-26 09:33:00-04:30", 1_795_701_780),
        ("2026-11-26 12:03:00-02", 1_795_701_780), ("2024-02-29 00:00:00", 1_709_164_800),
        ("2000-03-01 00:00:00", 951_868_800), ("1970-01-01 00:00:00", 0), ("9999-12-31 23:59:59", 253_402_300_799),
    ])
    func momentsAreRead(_ text: String, _ second: Int64) { #expect(RestoreTarget(text) == .second(second)) }

    @Test(arguments: [
        "", "now", "2026-11-26", "2026-11-26 14:03", "2026-13-01 00:00:00", "2026-00-01 00:00:00",
        "2026-02-29 00:00:00",
        "2100-02-29 00:00:00", "2026-11-31 00:00:00", "2026-11-26 24:00:00", "2026-11-26 14:60:00",
        "1969-12-31 23:59:59",
        "2026-11-26 14:03:00 UTC", "2026-11-26 14:03:00.", "2026-11-26 14:03:00+2", "2026-11-26 14:03:00Zx",
        "2026-1-26 14:03:00", "٢٠٢٦-11-26 14:03:00", "snapshot:", "snapshot:../x", "before", "-026-11-26 14:03:00",
    ])
    func nothingElseIsAMoment(_ text: String) { #expect(RestoreTarget(text) == nil) }

    @Test func wordsAreRead() {
        #expect(RestoreTarget("before-flushall") == .before(command: "flushall"))
        #expect(RestoreTarget("BEFORE-FLUSHDB") == .before(command: "flushdb"))
        #expect(RestoreTarget("before-restore") == .beforeRestore)
        #expect(RestoreTarget("snapshot:a.b") == .kept("a.b"))
    }

    @Test func whatIsWrittenIsReadBack() {
        for second in stride(from: Int64(0), to: 253_402_300_799, by: 86_399 * 977) {
            #expect(RestoreTarget(RestoreTarget.text(milliseconds: second * 1000 + 7)) == .second(second))
        }
        #expect(RestoreTarget.text(milliseconds: .min) == "1970-01-01 00:00:00")
        #expect(RestoreTarget.text(milliseconds: .max) == "9999-12-31 23:59:59")
    }
}
