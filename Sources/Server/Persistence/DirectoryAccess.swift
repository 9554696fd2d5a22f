import Glibc
import Storage

extension PersistenceControl {
    /// Takes the directory's lock. A server that never saves by itself runs without one in a directory that it may only
    /// read: it loads what is there and keeps the rest in memory.
    func takeDirectory() throws(StorageError) {
        let settings = server.config.settings
        do throws(StorageError) {
            let lock = try DirectoryLock(directory: settings.directory)
            self.lock = lock
            noted = lock.record
            if lock.isUnreadable {
                server.logger.warning(
                    "swiftlet.lock cannot be read: what is in \(settings.directory) is taken for all that was")
            }
        } catch {
            let isReadOnly = access(settings.directory, W_OK) != 0 && [EACCES, EPERM, EROFS].contains(errno)
            if !isReadOnly { throw error }
            guard settings.isPureCache else {
                throw StorageError(
                    file: settings.directory,
                    message: "the directory cannot be written: make it writable, or set save \"\" and appendonly no to "
                        + "run as a cache that never saves")
            }
            server.logger.warning(
                "The directory \(settings.directory) cannot be written: this server is a cache, nothing can be saved")
        }
    }
}
