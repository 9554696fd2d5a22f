import Testing

@testable import Server

@Suite struct ReplicaStateTests {
    private let all: [ReplicaState] = [
        .candidate, .waiting, .expecting, .promised, .receiving(isMarked: true), .receiving(isMarked: false), .received,
        .online, .ended,
    ]

    /// Which state each transition leads to, from each state; nothing else changes it.
    @Test func transitionsStartWhereTheyBelong() {
        func check(_ from: ReplicaState, _ to: ReplicaState, _ change: (inout ReplicaState) -> Void) {
            for state in all {
                var changed = state
                change(&changed)
                #expect(changed == (state == from ? to : state))
            }
        }
        check(.candidate, .waiting) { $0.askedForAll() }
        check(.candidate, .online) { _ = $0.askedForRest() }
        check(.waiting, .expecting) { $0.snapshotChosen() }
        check(.expecting, .receiving(isMarked: true)) { $0.snapshotBegan(isMarked: true) }
        check(.expecting, .promised) { $0.snapshotBegan(isMarked: false) }
        check(.promised, .receiving(isMarked: false)) { $0.snapshotMeasured() }
        check(.received, .online) { _ = $0.acknowledged() }
    }

    /// A snapshot that has a mark behind it is only over when the replica says that it has found it.
    @Test func whatFollowsTheSnapshot() {
        for state in all {
            for wantsStream in [true, false] {
                var changed = state
                let action = changed.snapshotSent(wantsStream: wantsStream)
                switch (state, wantsStream) {
                case (.receiving(isMarked: true), true): #expect(changed == .received && action == .none)
                case (.receiving(isMarked: false), true): #expect(changed == .online && action == .startStream)
                case (.receiving, false): #expect(changed == .ended && action == .finish)
                default: #expect(changed == state && action == .none)
                }
            }
        }
    }

    /// The stream begins once, on each way.
    @Test func theStreamBeginsOnce() {
        for isMarked in [true, false] {
            var state = ReplicaState.candidate
            state.askedForAll()
            state.snapshotChosen()
            var actions = [state.acknowledged()]
            state.snapshotBegan(isMarked: isMarked)
            state.snapshotMeasured()
            actions.append(state.acknowledged())
            actions.append(state.snapshotSent(wantsStream: true))
            actions += [state.acknowledged(), state.acknowledged()]
            #expect(actions.count { $0 == .startStream } == 1)
            #expect(actions[isMarked ? 3 : 2] == .startStream)
            #expect(state.isOnline && state.isAttached)
        }
    }

    @Test func acknowledgementsAreBounded() {
        let replica = Replica(Server().router.makeSession())
        replica.acknowledge(50, synced: 40, end: 100, now: 1)
        replica.acknowledge(30, synced: 10, end: 100, now: 2)
        #expect(replica.acknowledged == 50 && replica.synced == 40)
        replica.acknowledge(101, synced: .max, end: 100, now: 3)
        replica.acknowledge(.min, synced: .min, end: 100, now: 4)
        #expect(replica.acknowledged == 50 && replica.synced == 40 && replica.acknowledgedAt == 4)
    }
}
