/// What is wrong with a file that SQLite does not read, as far as its first bytes and its size tell.
enum FileForm {
    private static let magic = Array("SQLite format 3\0".utf8)
    private static let headerSize = 100

    /// Whether the file begins as an SQLite database does; false where there is none.
    static func isDatabase(_ path: String, _ files: any FileSystem) -> Bool {
        if files.facts(path)?.isRegular != true { return false }
        guard let header = header(path, files) else { return false }
        return header.starts(with: magic)
    }

    /// For a message. `path` was refused as no database or as damaged.
    static func fault(_ path: String, _ files: any FileSystem) -> String {
        guard let size = files.size(path), let header = header(path, files) else {
            return "the file is damaged: restore it from a backup or a replica"
        }
        if header.count >= magic.count && !header.starts(with: magic) || !magic.starts(with: header.prefix(magic.count))
        {
            return "the file is no SQLite database: choose another name, or restore the snapshot from a backup"
        }
        // Format (https://www.sqlite.org/fileformat2.html): page size at 16, big-endian, 1 for 65536; pages at 28.
        let expected: Int64
        if header.count < headerSize {
            expected = Int64(headerSize)
        } else {
            let pageSize = Int64(header[16]) << 8 | Int64(header[17])
            let pages = header[28..<32].reduce(Int64(0)) { $0 << 8 | Int64($1) }
            expected = (pageSize == 1 ? 65536 : pageSize) * pages
        }
        if size < expected {
            return "the file ends in the middle of the database, after \(size) of \(expected) bytes: it is incomplete; "
                + "copy it again, or restore it from a backup"
        }
        return "the file is damaged: restore it from a backup or a replica"
    }

    /// At most the first 100 bytes. The descriptor is not closed: that would drop the locks that SQLite holds on the file
    /// for this process. This happens when a file is refused, once.
    private static func header(_ path: String, _ files: any FileSystem) -> [UInt8]? {
        guard let file = try? files.open(path, .read) else { return nil }
        return files.head(file, headerSize)
    }
}
