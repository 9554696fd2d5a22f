import Storage

// Invariant of this file: `base` points to `count` initialised `Bytes` that live, with what they borrow, until the
// command ends.

/// A command's arguments; the first is its name. Borrowed from the connection's input.
struct Arguments {
    private let base: UnsafePointer<Bytes>
    let count: Int

    init(_ base: UnsafePointer<Bytes>, _ count: Int) {
        self.base = base
        self.count = count
    }

    @inline(__always) subscript(_ index: Int) -> Bytes {
        precondition(index >= 0 && index < count)
        return base[index]
    }

    /// The first of them, for what takes them as an array.
    var start: UnsafePointer<Bytes> { base }

    /// The arguments from `start` on, for subcommands. `start` is at most `count`.
    func dropFirst(_ start: Int) -> Arguments {
        precondition(start >= 0 && start <= count)
        return Arguments(base + start, count - start)
    }

    /// The integer that an argument is; throws "not an integer or out of range".
    @inline(__always) func integer(_ index: Int) throws(CommandError) -> Int64 {
        guard let value = self[index].integer else { throw .notInteger }
        return value
    }
}
