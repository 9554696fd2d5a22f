import Testing

@testable import Server

@Suite struct ConnectionStateTests {
    private static let all: [ConnectionState] = [
        .connecting, .open, .flushing, .writingBlocked, .closingAfterReply, .closingBlocked, .closing,
    ]
    private typealias Row = (to: ConnectionState, action: ConnectionState.Action)

    private func check(
        _ name: String, _ rows: [Row], _ event: (inout ConnectionState) -> ConnectionState.Action
    ) {
        #expect(rows.count == Self.all.count)
        for (from, row) in zip(Self.all, rows) {
            var state = from
            let action = event(&state)
            #expect(state == row.to && action == row.action, "\(name) in \(from): \(state), \(action)")
        }
    }

    /// A row for each state, in the order above.
    @Test func transitions() {
        check(
            "outputAdded",
            [
                (.connecting, .none), (.flushing, .scheduleFlush), (.flushing, .none), (.writingBlocked, .checkLimit),
                (.closingAfterReply, .none), (.closingBlocked, .checkLimit), (.closing, .none),
            ]
        ) { $0.outputAdded(isLast: false) }
        check(
            "last output",
            [
                (.connecting, .none), (.closingAfterReply, .scheduleFlush), (.closingAfterReply, .none),
                (.closingBlocked, .checkLimit), (.closingAfterReply, .none), (.closingBlocked, .checkLimit),
                (.closing, .none),
            ]
        ) { $0.outputAdded(isLast: true) }
        check(
            "flushed",
            [
                (.connecting, .none), (.open, .none), (.open, .none), (.writingBlocked, .none), (.closing, .close),
                (.closingBlocked, .none), (.closing, .none),
            ]
        ) { $0.flushed() }
        check(
            "ended",
            [
                (.closing, .close), (.closing, .close), (.closingAfterReply, .none), (.closing, .close),
                (.closingAfterReply, .none), (.closing, .close), (.closing, .none),
            ]
        ) { $0.ended() }
        check(
            "blocked",
            [
                (.connecting, .none), (.writingBlocked, .watchWritable), (.writingBlocked, .watchWritable),
                (.writingBlocked, .none), (.closingBlocked, .watchWritable), (.closingBlocked, .none),
                (.closing, .none),
            ]
        ) { $0.blocked() }
        check(
            "writable",
            [
                (.connecting, .finishConnecting), (.open, .none), (.flushing, .none), (.flushing, .unwatchWritable),
                (.closingAfterReply, .none), (.closingAfterReply, .unwatchWritable), (.closing, .none),
            ]
        ) { $0.writable() }
        check(
            "connected",
            [
                (.flushing, .unwatchWritable), (.open, .none), (.flushing, .none), (.writingBlocked, .none),
                (.closingAfterReply, .none), (.closingBlocked, .none), (.closing, .none),
            ]
        ) { $0.connected() }
        check(
            "close",
            [
                (.closing, .close), (.closing, .close), (.closing, .close), (.closing, .close), (.closing, .close),
                (.closing, .close), (.closing, .none),
            ]
        ) { $0.close() }
    }

    @Test func whatMayBeDone() {
        for state in Self.all {
            #expect(state.receives == ![.connecting, .closing].contains(state))
        }
    }
}
