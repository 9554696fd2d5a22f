import Storage

/// Persistence and Snapshot.
extension Info {
    func persistenceSection() {
        let persistence = services.persistence
        let seconds = services.keyspace.now / 1000
        let isLogging = services.config.settings.appendOnly
        field("loading", services.guards.contains(.loading))
        field("async_loading", services.guards.contains(.replacing))
        field("current_cow_peak", 0)
        field("current_cow_size", 0)
        field("current_cow_size_age", 0)
        field("current_fork_perc", "0.00")
        field("current_save_keys_processed", 0)
        field("current_save_keys_total", 0)
        field("rdb_changes_since_last_save", persistence.unsaved(services.keyspace.dirty))
        field("rdb_bgsave_in_progress", persistence.isSaving || services.replication.replicas.sync.isSending)
        field("rdb_last_save_time", persistence.lastSaveTime)
        field("rdb_last_bgsave_status", ok: persistence.lastSaveSucceeded)
        field("rdb_last_bgsave_time_sec", persistence.lastSaveDuration)
        field("rdb_current_bgsave_time_sec", persistence.isSaving ? max(0, seconds - persistence.saveStarted) : -1)
        field("rdb_saves", persistence.saves)
        field("rdb_last_cow_size", 0)
        field("rdb_last_load_keys_expired", persistence.keysExpiredWhileLoading)
        field("rdb_last_load_keys_loaded", persistence.keysLoaded)
        field("aof_enabled", isLogging)
        // A checkpoint is both of Redis's kinds of save; it shows as the one that clients wait for after asking.
        field("aof_rewrite_in_progress", isLogging && persistence.isSaving)
        field("aof_rewrite_scheduled", persistence.isLogRewriteScheduled)
        field("aof_last_rewrite_time_sec", isLogging ? persistence.lastSaveDuration : -1)
        field(
            "aof_current_rewrite_time_sec",
            isLogging && persistence.isSaving ? max(0, seconds - persistence.saveStarted) : -1)
        field("aof_last_bgrewrite_status", ok: persistence.lastSaveSucceeded)
        field("aof_rewrites", isLogging ? persistence.saves : 0)
        field("aof_rewrites_consecutive_failures", 0)
        field("aof_last_write_status", ok: persistence.lastAppendSucceeded)
        field("aof_last_cow_size", 0)
        field("module_fork_in_progress", 0)
        field("module_fork_last_cow_size", 0)
        if isLogging {
            field("aof_current_size", persistence.logBytes)
            field("aof_base_size", persistence.logBytesAtLastSave)
            field("aof_pending_rewrite", 0)
            field("aof_buffer_length", 0)
            field("aof_pending_bio_fsync", persistence.oldestUnsyncedMilliseconds > 0)
            field("aof_delayed_fsync", 0)
        }
        field("swiftlet_oldest_unsynced_ms", persistence.oldestUnsyncedMilliseconds)
        field("swiftlet_log_poisoned", persistence.isLogPoisoned)
        if !services.guards.isDisjoint(with: [.loading, .replacing]) {
            let loaded = persistence.loadingLoadedBytes
            let total = persistence.loadingTotalBytes
            let elapsed = max(0, wallClockMilliseconds() / 1000 - persistence.loadingStarted)
            let share = Self.share(loaded, total)
            field("loading_start_time", persistence.loadingStarted)
            field("loading_total_bytes", total)
            field("loading_loaded_bytes", loaded)
            field("loading_loaded_perc", Self.fixed(share * 100, 2))
            field("loading_eta_seconds", share > 0 ? Int(min(1e9, Double(elapsed) * (1 / share - 1))) : 1)
        }
    }

    /// What Redis has no fields for: how the last checkpoint went, what a restart would replay, and why writes are refused.
    func snapshotSection() {
        let persistence = services.persistence
        let pace = persistence.pace.last
        let outcome = persistence.lastOutcome
        field("snapshot_file", persistence.data?.options.snapshotName ?? "")
        field("snapshot_size", persistence.data?.snapshotSize ?? 0)
        field("snapshot_in_progress", persistence.isSaving)
        field("snapshot_last_status", ok: persistence.lastSaveSucceeded)
        field("snapshot_last_error", Self.line(persistence.lastSaveError ?? ""))
        field("snapshot_last_save_time", persistence.lastSaveTime)
        field("snapshot_last_rows", outcome?.rows ?? 0)
        field("snapshot_last_bytes", outcome?.byteCount ?? 0)
        field("snapshot_last_duration_ms", Int((pace?.duration ?? 0) / 1_000_000))
        field("snapshot_last_cut_usec", Int((pace?.cut ?? 0) / 1000))
        field("snapshot_last_slices", pace?.slices ?? 0)
        field("snapshot_last_longest_slice_usec", Int((pace?.longestSlice ?? 0) / 1000))
        field("snapshot_next_due_seconds", persistence.secondsUntilDue)
        field("log_size", persistence.logBytes)
        field("log_segments", persistence.data?.segmentCount ?? 0)
        field("log_oldest_unsynced_ms", persistence.oldestUnsyncedMilliseconds)
        backupFields(persistence.backups)
        historyFields(persistence.data?.historyStatus ?? HistoryStatus())
        field("writes_refused", persistence.refusal != nil)
        field("writes_refused_since", persistence.refusal == nil ? 0 : persistence.refusedSince)
        field("writes_refused_reason", persistence.refusal.map { Self.line(persistence.text(of: $0)) } ?? "")
    }

    private func backupFields(_ backups: Backups) {
        field("backup_in_progress", backups.current != nil)
        field("backup_bytes_done", backups.progress.done)
        field("backup_bytes_total", backups.progress.total)
        field("backup_last_status", ok: backups.lastError == nil)
        field("backup_last_error", Self.line(backups.lastError ?? ""))
        field("backup_last_file", Self.line(backups.lastFile))
        field("backup_last_time", backups.lastTime)
    }

    private func historyFields(_ status: HistoryStatus) {
        field("history_seconds", services.config.settings.snapshotHistory)
        field("history_oldest_time", (status.oldest ?? 0) / 1000)
        field("history_checkpoints", status.checkpoints)
        field("history_segments", status.segments)
        field("history_bytes", status.bytes)
        field("history_gaps", status.gaps)
        field("history_copy_in_progress", status.isCopying)
        field("history_copied_bytes", status.copied)
        field("history_bytes_to_copy", status.toCopy)
        field("history_last_error", Self.line(status.failure.map { "\($0)" } ?? ""))
    }

    /// The text on one line, as a field's value.
    private static func line(_ text: String) -> String { String(text.map { $0.isNewline ? " " : $0 }) }
}
