// What stands around the keys of a file.

extension RDBWriter {
    /// Writes the name of the format with its version, and notes: what wrote the file (a server of that version, to those who
    /// ask), the width of its words, when; with `position`, where in the stream of changes.
    func header(_ position: Meta?) {
        output.append(Bytes(isValkey ? RDBFormat.valkeyMagic : RDBFormat.magic))
        let digits = String(version).utf8
        let width = RDBFormat.headerSize - Bytes(isValkey ? RDBFormat.valkeyMagic : RDBFormat.magic).count
        for _ in digits.count..<width { output.append(byte: UInt8(ascii: "0")) }
        for digit in digits { output.append(byte: digit) }
        let servers = [9: "6.2.0", 10: "7.0.0", 11: "7.2.0", 12: "7.4.0", RDBFormat.valkeyVersion: "9.0.0"]
        note(isValkey ? "valkey-ver" : "redis-ver") { string(servers[version] ?? "7.2.0") }
        note("redis-bits") { string(64) }
        note("ctime") { string(wallClockMilliseconds() / 1000) }
        if let position {
            note("repl-stream-db") { string(position.streamDatabase) }
            note("repl-id") { string(position.replicationID) }
            note("repl-offset") { string(position.replicationOffset) }
        }
        if version >= 10 { note("aof-base") { string(0) } }
    }

    private func note(_ name: String, _ value: () -> Void) {
        output.append(byte: RDBFormat.Opcode.auxiliary.rawValue)
        string(name)
        value()
    }

    /// Writes the end with the checksum, and hands all over: to a file it is durable then.
    func end() throws(StorageError) {
        output.append(byte: RDBFormat.Opcode.end.rawValue)
        output.append(littleEndian: output.checksum())
        try output.finish()
    }
}
