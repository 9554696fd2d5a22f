/// A collection too large to be one block. It knows, by element, what changed since the last cut and what of the cut
/// is still to be handed to the checkpoint, so that neither a cut nor a write ever walks it.
///
/// The protocol between a collection and a checkpoint: at the first touch of its key after a cut, `freeze` turns the
/// elements that changed into the ones that are pending; each write to a pending element hands its old state over
/// first; `drain` hands over the rest in slices. A collection that leaves the keyspace while something is pending
/// stays alive in the checkpoint's list until it is drained.
class LargeValue: Reapable {
    /// The row id that pending elements are handed over under.
    final var pendingOwner: Int64 = 0
    /// Where pending elements go; nil when nothing is pending.
    final var sink: RowSink?
    /// Not in the keyspace any more: whoever lets go of it last frees it off the loop.
    final var isOrphan = false
    /// What the reaper was told that will be freed.
    private final var expectedBytes = 0
    /// The rows in the snapshot, if any, bear no relation to the slots here: remove them all first.
    final var rewriteAll = true

    init() {}

    /// Number of elements.
    var count: Int { preconditionFailure("abstract") }

    /// The cut reaches this collection: what changed becomes pending under `owner`. Rows of elements that are gone are
    /// removed. O(changed bits / 64), no element is touched.
    func freeze(owner: Int64, sink: RowSink) { preconditionFailure("abstract") }

    var freeingCost: Int { count }
    final var isSmall: Bool { true }

    /// It is in no entry any more: freed off the loop, once nothing is pending.
    final func letGo() {
        if sink == nil { return Reaper.shared.free(self) }
        isOrphan = true
        expectedBytes = memoryUsage
        Reaper.shared.expect(expectedBytes)
    }
    /// Nothing is pending any more of an orphan.
    final func free() { Reaper.shared.free(self, expected: expectedBytes) }

    /// Hands over pending elements until `goOn` says stop. True when none is left.
    func drain(while goOn: () -> Bool) -> Bool { preconditionFailure("abstract") }

    /// All that is there equals the snapshot's rows: after loading.
    func markClean() { preconditionFailure("abstract") }

    func freeElements() { preconditionFailure("abstract") }

    /// Throws where it contradicts itself. O(n).
    func checkInvariants() throws(BrokenInvariant) { preconditionFailure("abstract") }

    /// An estimate, in bytes. O(1).
    var memoryUsage: Int { preconditionFailure("abstract") }
}
