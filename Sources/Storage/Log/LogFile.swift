import Glibc

/// Writing whole batches to a file, or nothing.
enum LogFile {
    /// Appends whole batches behind `end`, which moves on. After a failed or short write the file is cut back to `end`;
    /// should that fail too, the next call does it before it writes, so that half a batch never has one behind it.
    /// Returns errno or 0.
    static func append(
        _ batches: OutputBuffer, to file: Int32, end: inout Int64, _ files: FileOperations
    ) -> Int32 {
        let size = Int64(lseek(file, 0, SEEK_END))
        if size < 0 { return lastError() }
        // Someone cut it: what is missing cannot be made up for, least of all with zeros.
        if size < end { return EIO }
        if size > end && files.truncate(file, end) != 0 { return lastError() }
        var done = 0
        while done < batches.count {
            let n = files.write(file, batches.base + done, batches.count - done)
            if n < 0 && errno == EINTR { continue }
            if n <= 0 {
                let code = n < 0 ? lastError() : ENOSPC
                if done > 0 { _ = files.truncate(file, end) }
                return code
            }
            done += n
        }
        end += Int64(done)
        return 0
    }
}
