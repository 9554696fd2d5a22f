/// The numbers that address rows. 0 means that there is no row.
enum RowID {
    /// A string's has as many bits as an entry in memory keeps.
    static let strings: ClosedRange<Int64> = 1...(1 << 40 - 1)
    /// That of a list, hash, set, sorted set or stream leaves 32 bits for the slot.
    static let owners: ClosedRange<Int64> = 1...(1 << 31 - 1)
    static let lastSlot: Int64 = 0xFFFF_FFFF

    /// `owner` must lie in `owners`.
    @inline(__always) static func element(_ owner: Int64, _ slot: Int64) -> Int64 { owner << 32 | slot }

    /// Those of keys of a type.
    static func range(_ type: ValueType) -> ClosedRange<Int64> {
        switch type {
        case .string: strings
        case .list, .hash, .set, .zset, .stream: owners
        }
    }
}
