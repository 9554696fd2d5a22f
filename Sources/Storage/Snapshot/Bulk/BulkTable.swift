import Glibc

// Invariant of this file: `leaf` is one page, laid out as SQLite's table leaves: `cells` pointers behind the header, their
// contents between `contentStart` and the page's end.

/// Builds one table's b-tree from rows whose ids ascend (sqlite.org/fileformat2, "B-tree Pages"), filling each page from
/// the left as SQLite does when rows are appended. Holds one leaf and, for each level above, what has not filled a page.
final class BulkTable {
    private let file: BulkFile
    private let root: UInt32
    let columns: Int
    private let leaf: UnsafeMutableRawPointer
    private var cells = 0
    private var contentStart: Int
    /// First pages of values that go on outside of the leaf that is being filled.
    private var overflows: [UInt32] = []
    /// By height: pages that have no parent yet, each with the last id under it.
    private var levels: [[(page: UInt32, lastID: Int64)]] = []
    private(set) var lastID: Int64 = -1
    private(set) var count: Int64 = 0

    private static let leafHeader = 8
    private static let nodeHeader = 12
    private static let pointerSize = 2

    /// `root`: the page that SQLite made for the table.
    init(_ file: BulkFile, root: UInt32, columns: Int) {
        self.file = file
        self.root = root
        self.columns = columns
        leaf = .allocate(byteCount: file.pageSize, alignment: 8)
        contentStart = file.pageSize
        beginLeaf()
    }
    deinit { leaf.deallocate() }

    /// Appends a row. `id` is above all others. Throws when the file cannot be written.
    func append(_ id: Int64, _ record: RecordBuilder) throws(StorageError) {
        let payload = record.byteCount
        let local = localSize(payload)
        let header = Varint.size(UInt64(payload)) + Varint.size(UInt64(bitPattern: id))
        let size = header + local + (local < payload ? 4 : 0)
        if BulkTable.leafHeader + BulkTable.pointerSize * (cells + 1) + size > contentStart { try flushLeaf() }
        contentStart -= size
        var p = leaf + contentStart
        (leaf + BulkTable.leafHeader + BulkTable.pointerSize * cells).storeBytes(
            of: UInt16(truncatingIfNeeded: contentStart).bigEndian, as: UInt16.self)
        p += Varint.write(UInt64(payload), to: p)
        p += Varint.write(UInt64(bitPattern: id), to: p)
        if local == payload {
            record.forEachPiece { bytes, count in
                memcpy(p, bytes, count)
                p += count
            }
        } else {
            try spill(record, payload, local, p)
        }
        cells += 1
        lastID = id
        count += 1
    }

    /// How much of a payload stays in the leaf: SQLite's rule.
    private func localSize(_ payload: Int) -> Int {
        let usable = file.pageSize
        if payload <= usable - 35 { return payload }
        let minimum = (usable - 12) * 32 / 255 - 23
        let surplus = minimum + (payload - minimum) % (usable - 4)
        return surplus <= usable - 35 ? surplus : minimum
    }

    /// Writes the first `local` bytes of the record to `place`, and behind them the number of the page where it goes on.
    private func spill(
        _ record: RecordBuilder, _ payload: Int, _ local: Int, _ place: UnsafeMutableRawPointer
    ) throws(StorageError) {
        let page = UnsafeMutableRawPointer.allocate(byteCount: file.pageSize, alignment: 8)
        defer { page.deallocate() }
        var failure: StorageError?
        var p = place
        var isInLeaf = true
        var room = local
        var left = payload
        var previous: UInt32 = 0
        // Pages of overflow are appended one after the other, so that each knows the next one's number.
        func appendPage() {
            do throws(StorageError) {
                let number = try file.append(page)
                if previous == 0 {
                    (place + local).storeBytes(of: number.bigEndian, as: UInt32.self)
                    overflows.append(number)
                } else {
                    file.note(number, .laterOverflow, parent: previous)
                }
                previous = number
            } catch {
                failure = error
            }
        }
        record.forEachPiece { bytes, count in
            var done = 0
            while done < count && failure == nil {
                if room == 0 {
                    if !isInLeaf { appendPage() }
                    isInLeaf = false
                    room = file.pageSize - 4
                    let isLast = left <= room
                    page.storeBytes(of: isLast ? 0 : file.number(after: file.next).bigEndian, as: UInt32.self)
                    if isLast { memset(page + 4, 0, room) }
                    p = page + 4
                }
                let n = min(room, count - done)
                memcpy(p, bytes + done, n)
                p += n
                done += n
                room -= n
                left -= n
            }
        }
        if failure == nil { appendPage() }
        if let failure { throw failure }
    }

    // MARK: Pages

    private func beginLeaf() {
        memset(leaf, 0, file.pageSize)
        cells = 0
        contentStart = file.pageSize
        overflows.removeAll(keepingCapacity: true)
    }
    private func endLeaf() {
        leaf.storeBytes(of: 0x0d, as: UInt8.self)
        (leaf + 3).storeBytes(of: UInt16(truncatingIfNeeded: cells).bigEndian, as: UInt16.self)
        (leaf + 5).storeBytes(of: UInt16(truncatingIfNeeded: contentStart).bigEndian, as: UInt16.self)
    }
    private func noteOverflows(_ parent: UInt32) {
        for page in overflows { file.note(page, .firstOverflow, parent: parent) }
    }

    private func flushLeaf() throws(StorageError) {
        endLeaf()
        let number = try file.append(leaf)
        noteOverflows(number)
        beginLeaf()
        try add(number, lastID, height: 0)
    }

    /// Children that any node has room for: a number of four bytes and an id of at most nine for each but the last.
    private var fanOut: Int {
        (file.pageSize - BulkTable.nodeHeader) / (4 + Varint.maximumSize + BulkTable.pointerSize) + 1
    }

    /// A node is written when two more children than it takes are there: none is ever left with one child.
    private func add(_ page: UInt32, _ lastID: Int64, height: Int) throws(StorageError) {
        if height == levels.count { levels.append([]) }
        levels[height].append((page, lastID))
        if levels[height].count == fanOut + 2 { try flushNode(height, fanOut) }
    }

    private func flushNode(_ height: Int, _ children: Int) throws(StorageError) {
        let node = makeNode(height, children)
        defer { node.deallocate() }
        let number = try file.append(node)
        let last = levels[height][children - 1].lastID
        adopt(height, children, number)
        try add(number, last, height: height + 1)
    }
    private func adopt(_ height: Int, _ children: Int, _ parent: UInt32) {
        for child in levels[height].prefix(children) { file.note(child.page, .node, parent: parent) }
        levels[height].removeFirst(children)
    }

    private func makeNode(_ height: Int, _ children: Int) -> UnsafeMutableRawPointer {
        let node = UnsafeMutableRawPointer.allocate(byteCount: file.pageSize, alignment: 8)
        memset(node, 0, file.pageSize)
        var start = file.pageSize
        for i in 0..<children - 1 {
            let child = levels[height][i]
            let key = UInt64(bitPattern: child.lastID)
            start -= 4 + Varint.size(key)
            (node + start).storeBytes(of: child.page.bigEndian, as: UInt32.self)
            _ = Varint.write(key, to: node + start + 4)
            (node + BulkTable.nodeHeader + BulkTable.pointerSize * i).storeBytes(
                of: UInt16(truncatingIfNeeded: start).bigEndian, as: UInt16.self)
        }
        node.storeBytes(of: 0x05, as: UInt8.self)
        (node + 3).storeBytes(of: UInt16(truncatingIfNeeded: children - 1).bigEndian, as: UInt16.self)
        (node + 5).storeBytes(of: UInt16(truncatingIfNeeded: start).bigEndian, as: UInt16.self)
        (node + 8).storeBytes(of: levels[height][children - 1].page.bigEndian, as: UInt32.self)
        return node
    }

    /// Writes what is left; the topmost node becomes the table's root. No row may follow.
    func finish() throws(StorageError) {
        if levels.isEmpty {
            endLeaf()
            noteOverflows(root)
            return try file.overwrite(root, leaf)
        }
        if cells > 0 { try flushLeaf() }
        var height = 0
        while height < levels.count - 1 || levels[height].count > fanOut {
            let count = levels[height].count
            if count > fanOut { try flushNode(height, count / 2) }
            try flushNode(height, levels[height].count)
            height += 1
        }
        let children = levels[height].count
        let node = makeNode(height, children)
        defer { node.deallocate() }
        try file.overwrite(root, node)
        adopt(height, children, root)
    }
}
