// Invariant of this file: whoever made a parcel and sent it on does not touch its buffer again.

/// A buffer that changes hands: its maker does not touch it again.
struct Parcel: @unchecked Sendable {
    // @unchecked: it belongs to one thread at a time, by the rule above.
    let buffer: OutputBuffer
    init(_ buffer: OutputBuffer) { self.buffer = buffer }
}
