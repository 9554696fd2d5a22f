// Invariant of this file: lengths are checked against the bytes that are there before an element borrows from them.

extension StreamFields {
    /// Appends fields and values in turn, each after its length in 4 bytes, least significant first: how an entry's
    /// content travels between memory and snapshot.
    public func pack(into out: OutputBuffer) {
        forEach { field, value in
            StreamFields.pack(field, into: out)
            StreamFields.pack(value, into: out)
        }
    }
    public static func pack(_ element: Bytes, into out: OutputBuffer) {
        out.append(raw: UInt32(truncatingIfNeeded: element.count).littleEndian)
        out.append(element)
    }

    /// Replaces what `pairs` holds; the elements borrow from `packed`. False where that is not what `pack` writes.
    public static func unpack(_ packed: Bytes, into pairs: inout [Bytes]) -> Bool {
        pairs.removeAll(keepingCapacity: true)
        var offset = 0
        while offset < packed.count {
            guard let length = packed.littleEndian(at: offset, as: UInt32.self),
                Int(length) <= packed.count - offset - 4
            else { return false }
            pairs.append(packed[offset + 4..<offset + 4 + Int(length)])
            offset += 4 + Int(length)
        }
        return pairs.count % 2 == 0
    }
}
