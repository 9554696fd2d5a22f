/// Deleting segments, which a snapshot has made history.
extension LogWriter {
    /// Deletes segments in the background, where there is no writer.
    public static func removeInBackground(
        directory: String, baseName: String, through number: Int64, _ host: Host = .real
    ) {
        host.background.run {
            forEachSegment(directory, baseName, through: number, host.files) { host.background.remove($0) }
        }
    }

    /// Deletes segments; waits for the disk, and for what is being deleted in the background: names may come again after
    /// this.
    public static func removeSegments(
        directory: String, baseName: String, through number: Int64, _ host: Host = .real
    ) {
        host.background.drain()
        forEachSegment(directory, baseName, through: number, host.files) { host.files.remove($0) }
    }

    /// What cannot be deleted is below the snapshot's segment, and is ignored and deleted at the next start.
    private static func forEachSegment(
        _ directory: String, _ baseName: String, through number: Int64, _ files: any FileSystem,
        _ remove: (String) -> Void
    ) {
        guard let numbers = try? LogFormat.segments(directory: directory, base: baseName, files) else { return }
        for found in numbers where found <= number { remove(directory + "/" + LogFormat.fileName(baseName, found)) }
        try? files.syncNames(in: directory)
    }

    /// A segment's file name.
    public static func fileName(_ baseName: String, _ segment: Int64) -> String {
        LogFormat.fileName(baseName, segment)
    }
}
