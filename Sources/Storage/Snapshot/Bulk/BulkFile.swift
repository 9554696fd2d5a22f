import Glibc

// Invariant of this file: no connection of SQLite's has the file open while a BulkFile has. Pages before `upcoming` were
// appended, lie in `buffer`, or are page maps; `buffer` holds consecutive pages, the first at `bufferStart`.

/// A new SQLite database (sqlite.org/fileformat2) that pages are appended to, past SQLite, which would take several times
/// as long to put ascending rows in place. SQLite has made the tables; nobody else has the file open.
///
/// An auto-vacuum database keeps a map of who refers to each page: its pages lie between the others, and are kept in
/// memory until `finish`, 5 bytes a page.
final class BulkFile {
    let path: String
    let pageSize: Int
    private let files: any FileSystem
    private let file: OpenFile
    /// The next page's number.
    private(set) var upcoming: UInt32 = 0
    private let buffer: UnsafeMutableRawPointer
    private var buffered = 0
    private var bufferStart: UInt32 = 0
    private var maps: [PageMap] = []
    /// Bytes written since the disk was last asked to begin writing.
    private var sinceWriteback = 0
    private var writtenEnd: Int64 = 0

    private struct PageMap {
        let number: UInt32
        var entries: [UInt8]
    }

    /// What the map says of a page. The numbers are SQLite's.
    enum PageUse: UInt8 {
        case firstOverflow = 3
        case laterOverflow = 4
        case node = 5
    }

    private static let bufferSize = 1 << 20
    /// The disk is kept busy in small portions, so that neither the sync at the end nor the log's own writes meet
    /// hundreds of megabytes at once.
    private static let writebackSize = 8 << 20
    /// SQLite locks bytes at this offset; the page that holds it is never used.
    private static let lockOffset = 1 << 30

    /// Throws when the file cannot be opened or is not what SQLite makes of our schema.
    init(path: String, _ files: any FileSystem = Host.real.files) throws(StorageError) {
        self.path = path
        self.files = files
        file = try files.open(path, .readWrite, or: "cannot open the new snapshot")
        let header = files.head(file, 100) ?? []
        let size = header.count == 100 ? Int(header[16]) << 8 | Int(header[17]) : 0
        pageSize = size
        buffer = .allocate(byteCount: BulkFile.bufferSize, alignment: 4096)
        SnapshotBuffers.add(BulkFile.bufferSize)
        guard size >= 512, size & (size - 1) == 0, header[20] == 0, header[55] != 0 || header[54] != 0 else {
            throw StorageError(file: path, message: "the new snapshot is not as SQLite makes it")
        }
        let length = (try? files.facts(file))?.size ?? 0
        upcoming = UInt32(clamping: length / Int64(size)) + 1
        // The tables are few: their pages have one map.
        var first = PageMap(number: 2, entries: [UInt8](repeating: 0, count: size))
        let isRead = first.entries.withUnsafeMutableBytes { target in
            target.baseAddress.flatMap { try? files.readAll(file, into: $0, size, at: Int64(size)) } == size
        }
        guard Int(upcoming) < pagesPerMap, isRead else {
            throw StorageError(file: path, message: "the new snapshot is not as SQLite makes it")
        }
        maps = [first]
        bufferStart = upcoming
    }
    deinit {
        files.close(file)
        buffer.deallocate()
        SnapshotBuffers.add(-BulkFile.bufferSize)
    }

    // MARK: Pages

    private var pagesPerMap: Int { pageSize / 5 + 1 }
    private var lockPage: UInt32 { UInt32(BulkFile.lockOffset / pageSize) + 1 }
    /// The page that maps page `number`, and where its entry lies.
    @inline(__always) private func map(of number: UInt32) -> (index: Int, page: UInt32) {
        let index = (Int(number) - 2) / pagesPerMap
        let page = UInt32(index * pagesPerMap + 2)
        return (index, page == lockPage ? page + 1 : page)
    }
    private func isReserved(_ number: UInt32) -> Bool { number == lockPage || map(of: number).page == number }

    /// The number that the next page appended gets.
    var next: UInt32 { unreserved(upcoming) }
    /// The number of the page that is appended after page `number`.
    func number(after number: UInt32) -> UInt32 { unreserved(number + 1) }
    private func unreserved(_ first: UInt32) -> UInt32 {
        var number = first
        while isReserved(number) { number += 1 }
        return number
    }

    /// Appends a page; returns its number. Throws when the disk is full or fails, or the file as large as SQLite's can be.
    func append(_ page: UnsafeRawPointer) throws(StorageError) -> UInt32 {
        while isReserved(upcoming) {
            if upcoming != lockPage {
                maps.append(PageMap(number: upcoming, entries: [UInt8](repeating: 0, count: pageSize)))
            }
            try put(nil)
        }
        guard upcoming < UInt32(Int32.max) else { throw StorageError(file: path, message: "the snapshot is too large") }
        let number = upcoming
        try put(page)
        return number
    }
    private func put(_ page: UnsafeRawPointer?) throws(StorageError) {
        if buffered + pageSize > BulkFile.bufferSize { try flush() }
        if let page { memcpy(buffer + buffered, page, pageSize) } else { memset(buffer + buffered, 0, pageSize) }
        buffered += pageSize
        upcoming += 1
    }

    /// Notes what page `number` is and which one refers to it. Both were appended.
    func note(_ number: UInt32, _ use: PageUse, parent: UInt32) {
        let (index, page) = map(of: number)
        precondition(index < maps.count && maps[index].number == page)
        let offset = 5 * (Int(number) - Int(page) - 1)
        maps[index].entries[offset] = use.rawValue
        for i in 0..<4 { maps[index].entries[offset + 1 + i] = UInt8(truncatingIfNeeded: parent >> UInt32(24 - 8 * i)) }
    }

    /// Replaces a page that was there before: a table's root.
    func overwrite(_ number: UInt32, _ page: UnsafeRawPointer) throws(StorageError) {
        precondition(number > 2 && number < maps[0].number + UInt32(pagesPerMap))
        try write(page, pageSize, at: Int64(number - 1) * Int64(pageSize))
    }

    /// Writes what is left and says in the header how many pages there are. Nothing is synced.
    func finish() throws(StorageError) {
        // SQLite takes no database that ends in a page that is not used.
        try flush()
        for map in maps {
            let failed: StorageError? = map.entries.withUnsafeBytes { bytes in
                do throws(StorageError) {
                    if let base = bytes.baseAddress {
                        try write(base, pageSize, at: Int64(map.number - 1) * Int64(pageSize))
                    }
                    return nil
                } catch {
                    return error
                }
            }
            if let failed { throw failed }
        }
        var pages = (upcoming - 1).bigEndian
        try write(&pages, 4, at: 28)
    }

    // MARK: Writing

    private func flush() throws(StorageError) {
        if buffered > 0 {
            let offset = Int64(bufferStart - 1) * Int64(pageSize)
            try write(buffer, buffered, at: offset)
            sinceWriteback += buffered
            writtenEnd = offset + Int64(buffered)
        }
        bufferStart = upcoming
        buffered = 0
        if sinceWriteback >= BulkFile.writebackSize {
            files.beginWriteback(file, at: writtenEnd - Int64(sinceWriteback), bytes: Int64(sinceWriteback))
            sinceWriteback = 0
        }
        giveWay()
    }

    private func write(_ bytes: UnsafeRawPointer, _ count: Int, at offset: Int64) throws(StorageError) {
        do throws(FileError) {
            try files.writeAll(file, Bytes(bytes, count), at: offset)
        } catch {
            throw .system(path, "cannot write the new snapshot", error)
        }
    }
}
