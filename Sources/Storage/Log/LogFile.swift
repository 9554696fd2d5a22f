/// Writing whole batches to a file, or nothing.
enum LogFile {
    /// Appends whole batches behind `end`, which moves on. After a failed or short write the file is cut back to `end`;
    /// should that fail too, the next call does it before it writes, so that half a batch never has one behind it.
    /// Throws what failed.
    static func append(
        _ batches: OutputBuffer, to file: OpenFile, end: inout Int64, _ files: any FileSystem
    ) throws(FileError) {
        let size = try files.facts(file).size
        // Someone cut it: what is missing cannot be made up for, least of all with zeros.
        if size < end { throw .damaged }
        if size > end { try files.truncate(file, to: end) }
        var done = 0
        do throws(FileError) {
            while done < batches.count {
                let count = try files.append(file, batches.bytes[done..<batches.count])
                if count == 0 { throw .noSpace }
                done += count
            }
        } catch {
            if done > 0 { try? files.truncate(file, to: end) }
            throw error
        }
        end += Int64(done)
    }
}
