import Glibc
import Storage

/// The end of the process: the log synced, a checkpoint unless told not to, and a non-zero exit code if either fails.
extension PersistenceControl {
    /// Ends the process after syncing the log and, unless told not to, a checkpoint. Returns where that is to wait for
    /// replicas, which get what was written before; throws when it is not done at all.
    func shutdown(_ options: ShutdownOptions) throws(CommandError) {
        if var pending = pendingShutdown {
            pending.options.formUnion(options)
            pendingShutdown = pending
            if options.contains(.now) { try finishShutdown() }
            return
        }
        server.logger.warning("User requested shutdown...")
        let timeout = server.config.settings.shutdownTimeout
        // Nobody gets more while a unit goes on.
        let isWaiting = isDelayed && !isLoading && !server.stream.isHeld
        if options.contains(.now) || timeout == 0 || !isWaiting { return try end(options) }
        server.logger.notice("Waiting for replicas before shutting down.")
        pendingShutdown = PendingShutdown(
            options: options, deadline: monotonicNanoseconds() &+ UInt64(timeout) &* 1_000_000_000)
        server.pause.holdWrites(server)
    }

    private var isDelayed: Bool { server.parts.contains { $0.part.delaysShutdown } }

    /// At a turn's end and regularly: goes on with a shutdown that waits.
    func continueShutdown() {
        guard let pending = pendingShutdown, !isDelayed || monotonicNanoseconds() >= pending.deadline else { return }
        do throws(CommandError) { try finishShutdown() } catch {
            for waiter in pending.waiters where waiter.session.waiter === waiter { server.abort(waiter, error) }
        }
    }

    private func finishShutdown() throws(CommandError) {
        guard let pending = pendingShutdown else { return }
        defer { server.pause.releaseWrites(server) }
        pendingShutdown = nil
        try end(pending.options)
    }

    private func end(_ options: ShutdownOptions) throws(CommandError) {
        let settings = server.config.settings
        let saves =
            options.contains(.save)
            || (!options.contains(.noSave) && (!settings.effectiveSavePoints.isEmpty || keepsLog))
        if isLoading { endWhileLoading() }
        for place in server.parts { place.part.shutdownBegins() }
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
            throw .cannotShutDown
        }
        leave(isClean ? 0 : 1)
    }

    /// Ends the process; what is to be saved is.
    func leave(_ code: Int32) -> Never {
        server.loop?.closeListeners()
        PidFile.remove(server.config.settings)
        server.logger.warning("Swiftlet is now ready to exit, bye bye...")
        exit(code)
    }

    /// SIGTERM or SIGINT.
    func signalled(_ signal: Int32) -> Bool {
        server.logger.warning("Received \(signal == SIGINT ? "SIGINT" : "SIGTERM") scheduling shutdown...")
        if server.isCronPaused { pausedSignal = signal } else { beginShutdown(by: signal) }
        return true
    }

    func beginShutdown(by signal: Int32) {
        let settings = server.config.settings
        let options = signal == SIGINT ? settings.shutdownOnSIGINT : settings.shutdownOnSIGTERM
        // A second signal is no other wish.
        if pendingShutdown != nil { return }
        do throws(CommandError) { try shutdown(options) } catch {
            // The data is in memory and the log at best: staying up is what can still help.
            server.logger.warning("The server stays up; SHUTDOWN NOSAVE or SHUTDOWN FORCE ends it.")
        }
    }

    /// SHUTDOWN ABORT.
    func abortShutdown() throws(CommandError) {
        if pendingShutdown == nil && pausedSignal == nil { throw CommandError("ERR No shutdown in progress.") }
        server.logger.notice("Shutdown manually aborted.")
        pausedSignal = nil
        guard let pending = pendingShutdown else { return }
        pendingShutdown = nil
        for waiter in pending.waiters where waiter.session.waiter === waiter { server.abort(waiter, .cannotShutDown) }
        server.pause.releaseWrites(server)
    }
}

/// A shutdown that waits until replicas have all.
struct PendingShutdown {
    var options: ShutdownOptions
    /// Monotonic nanoseconds.
    let deadline: UInt64
    /// Clients whose SHUTDOWN it is.
    var waiters: [Waiter] = []
}
