import Glibc

// Invariant of this file: an entry's encoding says what its 8 bytes of payload point to: a `LargeValue` that it has one reference
// to, or a block that it owns.

extension Entry {
    /// Whether the value is a `LargeValue`.
    @inline(__always) var isLarge: Bool {
        switch encoding {
        case .quicklist, .hashtable, .skiplist, .stream: true
        case .int, .embstr, .raw, .listpack, .intset: false
        }
    }
    @inline(__always) var largeValue: LargeValue? {
        isLarge ? Unmanaged<LargeValue>.fromOpaque(pointer).takeUnretainedValue() : nil
    }
    @inline(__always) var tableValue: TableValue {
        unsafeDowncast(Unmanaged<LargeValue>.fromOpaque(pointer).takeUnretainedValue(), to: TableValue.self)
    }
    @inline(__always) var chunkedList: ChunkedList {
        unsafeDowncast(Unmanaged<LargeValue>.fromOpaque(pointer).takeUnretainedValue(), to: ChunkedList.self)
    }
    @inline(__always) var streamValue: StreamValue {
        unsafeDowncast(Unmanaged<LargeValue>.fromOpaque(pointer).takeUnretainedValue(), to: StreamValue.self)
    }

    // The value for as long as `body` runs, which must not take the value out of the entry: no reference is counted.
    @inline(__always) func withTable<R>(_ body: (TableValue) -> R) -> R {
        Unmanaged<TableValue>.fromOpaque(pointer)._withUnsafeGuaranteedRef(body)
    }
    @inline(__always) func withList<R>(_ body: (ChunkedList) -> R) -> R {
        Unmanaged<ChunkedList>.fromOpaque(pointer)._withUnsafeGuaranteedRef(body)
    }
    @inline(__always) func withStream<R>(_ body: (StreamValue) -> R) -> R {
        Unmanaged<StreamValue>.fromOpaque(pointer)._withUnsafeGuaranteedRef(body)
    }

    /// The entry gives its reference up.
    func takeLargeValue() -> LargeValue? {
        isLarge ? Unmanaged<LargeValue>.fromOpaque(pointer).takeRetainedValue() : nil
    }
    /// The value becomes `value`; what it was before is not freed.
    func setLargeValue(_ value: LargeValue, encoding newEncoding: Encoding) {
        encoding = newEncoding
        pointer = Unmanaged.passRetained(value).toOpaque()
    }
    /// Frees a value that is neither inline nor large.
    func freeSmallPayload() {
        if type == .string {
            if flags.contains(.outOfLine) { Reaper.shared.free(pointer, size: stringCount) }
        } else if !isLarge {
            Glibc.free(pointer)
        }
    }
    @inline(__always) var listpack: Listpack {
        get { Listpack(block: pointer) }
        nonmutating set { pointer = newValue.block }
    }
    @inline(__always) var intset: Intset {
        get { Intset(block: pointer) }
        nonmutating set { pointer = newValue.block }
    }
}
