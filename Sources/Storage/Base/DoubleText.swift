import CShims
import Glibc

// Invariant of this file: the caller's scratch has room for 32 bytes.

/// Writes a double as Redis 7.0 prints scores: integers plainly, others with the 17 digits that read back the same,
/// `inf`, `-inf`. Returns a view of `scratch`.
public func formatDouble(_ value: Double, into scratch: UnsafeMutableRawPointer) -> Bytes {
    // Beyond 2^53 the digits are printf's affair, and -0 keeps its sign there.
    if value.magnitude < 9_007_199_254_740_992 && value == value.rounded(.towardZero)
        && !(value == 0 && value.sign == .minus)
    {
        return Bytes(scratch, decimalDigits(of: Int64(value), into: scratch))
    }
    let text = scratch.assumingMemoryBound(to: CChar.self)
    return Bytes(scratch, Int(cshims_format_double(text, value)))
}
