import Storage

// Invariant of this file: a name's bytes are read only within its count.

/// Commands by name, whatever its case: open addressing over names folded into three words, so that a look-up hashes
/// and compares words and neither makes a String nor allocates.
final class CommandIndex {
    /// Those that can be found, in the order in which they were declared.
    let entries: [CommandEntry]
    private let slots: [Slot]
    private let mask: Int
    /// Commands that were given a name too long to be folded.
    private let longNames: [ByteString: CommandEntry]

    private struct Slot {
        var name = FoldedName()
        var entry: CommandEntry?
    }

    /// Indexes by the commands' own names, or by those that `names` gives them: what has none is not found.
    init(_ declared: [CommandEntry], names: CommandNames = CommandNames()) {
        let named = declared.compactMap { entry in
            names.name(of: ByteString("\(entry.row.name)")).map { (name: $0, entry: entry) }
        }
        entries = named.map(\.entry)
        var size = 8
        while size < entries.count * 4 { size *= 2 }
        mask = size - 1
        var slots = Array(repeating: Slot(), count: size)
        var longNames: [ByteString: CommandEntry] = [:]
        for (text, entry) in named {
            guard let name = text.withBytes({ FoldedName($0) }) else {
                longNames[text] = entry
                continue
            }
            var i = name.hash & mask
            while slots[i].entry != nil {
                precondition(slots[i].name != name, "Command \(entry.fullName) is declared twice")
                i = (i + 1) & mask
            }
            slots[i] = Slot(name: name, entry: entry)
        }
        self.slots = slots
        self.longNames = longNames
    }

    @inline(__always) func find(_ name: Bytes) -> CommandEntry? {
        guard let name = FoldedName(name) else { return longNames.isEmpty ? nil : findLong(name) }
        var i = name.hash & mask
        while let entry = slots[i].entry {
            if slots[i].name == name { return entry }
            i = (i &+ 1) & mask
        }
        return nil
    }

    @inline(never) private func findLong(_ name: Bytes) -> CommandEntry? { longNames[ByteString(name).lowercased] }
}

/// Up to 24 bytes in lower case, padded with zeros; equal only to names of the same length.
private struct FoldedName: Equatable {
    private var a: UInt64 = 0
    private var b: UInt64 = 0
    private var c: UInt64 = 0
    private var length = 0

    init() {}

    /// nil for a name that is too long to be a command's, or empty.
    @inline(__always) init?(_ name: Bytes) {
        length = name.count
        if length == 0 || length > 24 { return nil }
        a = Self.word(name.base, min(length, 8))
        if length > 8 { b = Self.word(name.base + 8, min(length - 8, 8)) }
        if length > 16 { c = Self.word(name.base + 16, length - 16) }
    }

    /// The first `count` (1 to 8) bytes, folded.
    @inline(__always) private static func word(_ p: UnsafeRawPointer, _ count: Int) -> UInt64 {
        var w: UInt64
        if count == 8 {
            w = p.loadUnaligned(as: UInt64.self)
        } else if count >= 4 {
            // Two loads that overlap: what both have is the same.
            w = UInt64(p.loadUnaligned(as: UInt32.self))
            let shift = UInt64(count &- 4) &* 8
            w |= UInt64(p.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)) &<< shift
        } else {
            w = UInt64(p.load(as: UInt8.self))
            if count > 1 { w |= UInt64(p.load(fromByteOffset: 1, as: UInt8.self)) &<< 8 }
            if count > 2 { w |= UInt64(p.load(fromByteOffset: 2, as: UInt8.self)) &<< 16 }
        }
        // Bytes from A to Z get bit 5: for seven-bit bytes, adding moves them past 0x80 from A on and from [ on.
        let ones: UInt64 = 0x0101_0101_0101_0101
        let seven = w & (ones &* 0x7f)
        let fromA = seven &+ ones &* (0x80 - 0x41)
        let fromBracket = seven &+ ones &* (0x80 - 0x5b)
        let letters = fromA & ~fromBracket & ~w & (ones &* 0x80)
        return w | letters &>> 2
    }

    @inline(__always) var hash: Int {
        var h = a ^ (b &* 0x9e37_79b9_7f4a_7c15) ^ (c &* 0xc2b2_ae3d_27d4_eb4f)
        h = (h ^ (h &>> 29)) &* 0xbf58_476d_1ce4_e5b9
        return Int(truncatingIfNeeded: h &>> 32)
    }
}
