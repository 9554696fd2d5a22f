/// A structure contradicts itself: a bug in this program, or memory that was overwritten.
public struct BrokenInvariant: Error, CustomStringConvertible {
    /// Which structure, and what does not hold.
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// Throws where a structure's invariant does not hold. For `checkInvariants` functions, which tests and DEBUG CHECK-INVARIANTS
/// call.
@inline(__always)
public func invariant(_ holds: Bool, _ what: @autoclosure () -> String) throws(BrokenInvariant) {
    if !holds { throw BrokenInvariant(what()) }
}
