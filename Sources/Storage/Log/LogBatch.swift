import Glibc

// Invariant of this file: a file is mapped read-only until `unmap`; a batch's arguments lie in the map.

/// A file's bytes, mapped.
struct MappedFile {
    let bytes: Bytes

    init(_ path: String) throws(StorageError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        if file < 0 { throw .system(path, "cannot open") }
        defer { close(file) }
        var info = stat()
        if fstat(file, &info) != 0 { throw .system(path, "cannot read its size") }
        if info.st_size == 0 {
            bytes = Bytes()
            return
        }
        let size = Int(info.st_size)
        guard let map = mmap(nil, size, PROT_READ, MAP_PRIVATE, file, 0), map != MAP_FAILED else {
            throw .system(path, "cannot map")
        }
        madvise(map, size, MADV_SEQUENTIAL)
        bytes = Bytes(map, size)
    }
    func unmap() {
        if !bytes.isEmpty { munmap(UnsafeMutableRawPointer(mutating: bytes.base), bytes.count) }
    }
}

/// The commands of a batch, until its check has been seen.
struct LogBatch {
    private var arguments: [Bytes] = []
    private var counts: [Int] = []
    /// Where each command begins in the file.
    private var offsets: [Int] = []

    mutating func append(_ command: [Bytes], at offset: Int) {
        arguments.append(contentsOf: command)
        counts.append(command.count)
        offsets.append(offset)
    }
    mutating func removeAll() {
        arguments.removeAll(keepingCapacity: true)
        counts.removeAll(keepingCapacity: true)
        offsets.removeAll(keepingCapacity: true)
    }
    func first(argument: Int) -> Bytes? {
        guard let count = counts.first, argument < count else { return nil }
        return arguments[argument]
    }
    /// Every MULTI has its EXEC.
    var isWhole: Bool {
        var isOpen = false
        var at = 0
        for count in counts {
            defer { at += count }
            if count != 1 { continue }
            if arguments[at].equals(ignoringCase: "multi") { isOpen = true }
            if arguments[at].equals(ignoringCase: "exec") { isOpen = false }
        }
        return !isOpen
    }
    /// Each command but our own records, with its offset in the file.
    func forEach(_ body: (UnsafeBufferPointer<Bytes>, Int) throws(StorageError) -> Void) throws(StorageError) {
        var at = 0
        for (count, offset) in zip(counts, offsets) {
            defer { at += count }
            if count == 2 && arguments[at].equals(ignoringCase: "echo") { continue }
            let failure: StorageError? = arguments.withUnsafeBufferPointer { all in
                do throws(StorageError) {
                    try body(UnsafeBufferPointer(rebasing: all[at..<at + count]), offset)
                    return nil
                } catch {
                    return error
                }
            }
            if let failure { throw failure }
        }
    }
}
