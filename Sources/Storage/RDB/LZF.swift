import CLZF

/// LZF, the compression of long strings in an RDB file (liblzf does the work).
public enum LZF {
    /// The most that `compressed` bytes can become: a back reference of 3 bytes stands for at most 264.
    /// A length beyond it is a lie, and is found before memory is taken for it.
    public static func maximumLength(ofCompressed compressed: Int) -> Int {
        compressed.multipliedReportingOverflow(by: 264 / 3).overflow ? .max : compressed * (264 / 3)
    }

    /// Appends the `length` bytes that `input` stands for. False when it stands for anything else: then nothing is
    /// appended. O(length).
    public static func decompress(_ input: Bytes, length: Int, into out: OutputBuffer) -> Bool {
        guard input.count > 0, length > 0, length <= maximumLength(ofCompressed: input.count),
            let from = UInt32(exactly: input.count), let to = UInt32(exactly: length)
        else { return false }
        out.reserve(length)
        let start = out.count
        let written = lzf_decompress(input.base, from, out.appendUninitialized(length), to)
        if written != to { out.truncate(to: start) }
        return written == to
    }

    /// Appends `input` compressed and returns true, or returns false and appends nothing when that would not be at
    /// least 4 bytes shorter (then the string is better stored as it is). O(count).
    public static func compress(_ input: Bytes, into out: OutputBuffer) -> Bool {
        guard input.count > 4, let from = UInt32(exactly: input.count) else { return false }
        let start = out.count
        let room = input.count - 4
        let written = lzf_compress(input.base, from, out.appendUninitialized(room), UInt32(room))
        out.truncate(to: start + Int(written))
        return written != 0
    }
}
