import Storage

/// SLOWLOG, LATENCY, MEMORY and MONITOR, which stand in files of their own.
enum DiagnosticCommands {
    static var table: [Command] {
        CommandGroup.server.rows([SlowlogCommands.row, LatencyCommands.row, MemoryCommands.row, MonitorCommand.row])
    }
}

extension ReplyWriter {
    func bulk(array bytes: [UInt8]) {
        bytes.withUnsafeBytes { raw in
            bulk(raw.baseAddress.map { Bytes($0, raw.count) } ?? Bytes())
        }
    }
}
