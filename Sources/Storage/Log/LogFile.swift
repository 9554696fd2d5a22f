import Glibc

/// A segment's file, as the writing end sees it: made durable, then only ever appended to in whole batches.
enum LogFile {
    /// A segment that could not be made, with errno.
    struct CreationFailure: Error {
        let error: StorageError
        let code: Int32
    }

    /// Creates a segment's file with its header; file and name are durable when it returns the descriptor. What it
    /// leaves when it throws is no longer than a header and counts as unfinished when the log is read.
    static func create(
        _ directory: String, _ base: String, _ number: Int64, _ header: OutputBuffer, _ files: FileOperations
    ) throws(CreationFailure) -> Int32 {
        let path = directory + "/" + LogFormat.fileName(base, number)
        let file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        if file < 0 { throw failure(path, "cannot create a log segment", lastError()) }
        var end: Int64 = 0
        var code = append(header, to: file, end: &end, files)
        if code == 0 && files.sync(file) != 0 { code = lastError() }
        if code == 0 {
            do { try syncDirectory(directory) } catch { code = lastError() }
        }
        if code == 0 { return file }
        close(file)
        unlink(path)
        throw failure(path, "cannot write a log segment", code)
    }
    private static func failure(_ path: String, _ what: String, _ code: Int32) -> CreationFailure {
        CreationFailure(error: .system(path, what, code: code), code: code)
    }

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
