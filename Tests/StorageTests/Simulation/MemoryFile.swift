import Foundation

@testable import Storage

/// A file of `MemoryFileSystem`: what is read, what a power cut leaves for certain, and what was changed since.
final class MemoryFile {
    private enum Change {
        case write(Int, [UInt8])
        case truncate(Int)

        func apply(_ bytes: inout [UInt8]) {
            switch self {
            case .write(let offset, let new):
                let end = offset + new.count
                if bytes.count < end { bytes.append(contentsOf: repeatElement(0, count: end - bytes.count)) }
                bytes.replaceSubrange(offset..<end, with: new)
            case .truncate(let size):
                if size < bytes.count {
                    bytes.removeLast(bytes.count - size)
                } else {
                    bytes.append(contentsOf: repeatElement(0, count: size - bytes.count))
                }
            }
        }
    }

    let number: UInt64
    private(set) var bytes: [UInt8] = []
    private var durable: [UInt8] = []
    private var pending: [Change] = []
    var allocated = 0
    /// By the number of the open file that holds them.
    var locks: [Int32: LockKind] = [:]

    init(_ number: UInt64) { self.number = number }

    /// Bytes that it takes on the disk.
    var room: Int { max(allocated, bytes.count) }

    func write(_ new: [UInt8], at offset: Int) { change(.write(offset, new)) }
    func truncate(_ size: Int) { change(.truncate(size)) }
    private func change(_ change: Change) {
        change.apply(&bytes)
        guard hasLost, case .write(let offset, let new) = change else { return pending.append(change) }
        // A page is written as a whole, with what an earlier sync failed to write of it.
        let start = offset / MemoryFile.page * MemoryFile.page
        let end = min(bytes.count, (offset + new.count + MemoryFile.page - 1) / MemoryFile.page * MemoryFile.page)
        pending.append(.write(start, Array(bytes[start..<end])))
    }
    func sync() {
        // What follows a gap in a log is of no use: its reader refuses that, or cuts the log before it.
        if hasLost && isAppended { return }
        for change in pending { change.apply(&durable) }
        pending = []
    }
    func lose() {
        pending = []
        hasLost = true
    }
    /// A failed sync dropped something.
    private var hasLost = false

    private static let page = 4096
    private static let sector = 512

    /// What a crash leaves of it.
    func crashed(_ kind: MemoryFileSystem.Crash, _ random: inout SplitMix64) -> MemoryFile {
        let after = MemoryFile(number)
        switch kind {
        case .kill:
            after.bytes = bytes
            // The next process cannot know that a sync failed, and trusts what it reads: no server can do better.
            after.durable = hasLost ? bytes : durable
            after.pending = hasLost ? [] : pending
            after.isAppended = isAppended
            after.allocated = allocated
            return after
        case .strict: after.bytes = durable
        case .random: after.bytes = pending.isEmpty || hasLost && isAppended ? durable : torn(&random)
        }
        after.durable = after.bytes
        after.allocated = after.bytes.count
        return after
    }

    /// Written at its end alone, as the log is.
    var isAppended = false

    /// The size and each page are as they were at some time since the last sync, for each another; some pages are torn.
    ///
    /// Of a log, only what was appended last is uncertain by page: a page that is lost before whole batches is what the
    /// reader takes for damage, by design (docs/durability.md, "Limits of the disk").
    private func torn(_ random: inout SplitMix64) -> [UInt8] {
        var versions = [durable]
        for change in pending {
            var next = versions[versions.count - 1]
            change.apply(&next)
            versions.append(next)
        }
        if isAppended {
            let last = 1 + Int(random.next() % UInt64(versions.count - 1))
            versions = Array(versions[last - 1...last])
            // Fewer zeros than this at a sector's end are no evidence of a lost page.
            let end = versions[0].count % MemoryFile.sector
            let added = String(decoding: versions[1].dropFirst(versions[0].count), as: UTF8.self)
            let batches = added.components(separatedBy: "swiftlet:b:").count - 1
            if end > MemoryFile.sector - 16 || batches > 1 { return versions[Int(random.next() % 2)] }
        }
        func version() -> [UInt8] { versions[Int(random.next() % UInt64(versions.count))] }
        let size = version().count
        var result: [UInt8] = []
        result.reserveCapacity(size)
        while result.count < size {
            let isTorn = random.next() % 4 == 0
            let end = min(size, result.count + MemoryFile.page)
            var source = version()
            while result.count < end {
                let stop = min(end, result.count + MemoryFile.sector)
                if isTorn { source = version() }
                let known = min(stop, source.count)
                if result.count < known { result.append(contentsOf: source[result.count..<known]) }
                if result.count < stop { result.append(contentsOf: repeatElement(0, count: stop - result.count)) }
            }
        }
        return result
    }
}
