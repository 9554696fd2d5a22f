import Glibc
import Storage

/// The end of the process: the log synced, a checkpoint unless told not to, and a non-zero exit code if either fails.
extension PersistenceControl {
    /// Ends the process after syncing the log and, unless told not to, a checkpoint. Returns when that is not done yet;
    /// throws when it is not done at all.
    func shutdown(_ options: ShutdownOptions) throws(CommandError) {
        let settings = server.config.settings
        let saves =
            options.contains(.save)
            || (!options.contains(.noSave) && (!settings.effectiveSavePoints.isEmpty || log != nil))
        server.logger.warning("User requested shutdown...")
        if isLoading { endWhileLoading() }
        server.report("STOPPING=1\nSTATUS=Saving the data")
        var isClean = true
        writeTurn()
        do throws(StorageError) {
            try data?.sync()
        } catch {
            isClean = false
            server.logger.warning("\(error)")
        }
        // What a master sent is on disk, or what was there before it: there is nothing to save.
        if saves && !isReplacing {
            server.logger.notice("Saving the final snapshot before exiting.")
            do throws(CommandError) { try save() } catch { isClean = false }
            if isClean { data?.removeOldSegments() }
        }
        if isClean {
            do throws(StorageError) { try data?.noteCleanStop() } catch { server.logger.warning("\(error)") }
        }
        if !isClean && !options.contains(.force) {
            server.logger.warning("Error trying to save the data, can't exit.")
            server.report("STATUS=Cannot save the data, and stays up")
            throw CommandError("ERR Errors trying to SHUTDOWN. Check logs.")
        }
        leave(isClean ? 0 : 1)
    }

    /// Ends the process; what is to be saved is.
    func leave(_ code: Int32) -> Never {
        server.loop?.closeListeners()
        let pidFile = server.config.settings.pidFile
        if !pidFile.isEmpty { _ = pidFile.withCString { unlink($0) } }
        server.logger.warning("Swiftlet is now ready to exit, bye bye...")
        exit(code)
    }

    /// SIGTERM or SIGINT.
    func signalled(_ signal: Int32) -> Bool {
        let settings = server.config.settings
        server.logger.warning("Received \(signal == SIGINT ? "SIGINT" : "SIGTERM") scheduling shutdown...")
        var options = signal == SIGINT ? settings.shutdownOnSIGINT : settings.shutdownOnSIGTERM
        options.remove(.now)
        do throws(CommandError) { try shutdown(options) } catch {
            // The data is in memory and the log at best: staying up is what can still help.
            server.logger.warning("The server stays up; SHUTDOWN NOSAVE or SHUTDOWN FORCE ends it.")
        }
        return true
    }

    /// SHUTDOWN ABORT.
    func abortShutdown() throws(CommandError) {
        throw CommandError("ERR No shutdown in progress.")
    }
}
