// Invariant of this file: what `RDBOutput` hands out here is used before anything else is appended.

/// The payload of FUNCTION DUMP and RESTORE: libraries as in an RDB file, one after the other, with the footer of DUMP.
public enum FunctionPayload {
    public enum Failure: Error {
        /// The end is not that of a payload, or of a newer version, or the checksum does not fit.
        case foreign
        /// Something else than a library is in it.
        case otherType
        case damaged
    }

    /// Calls `body` with the payload. O(bytes).
    public static func of(_ libraries: [FunctionLibrary.Text], compresses: Bool, _ body: (Bytes) -> Void) {
        let output = RDBOutput()
        let writer = RDBWriter(output, version: RDBWriter.usualVersion, compresses: compresses)
        for (_, code) in libraries {
            output.append(byte: RDBFormat.Opcode.function.rawValue)
            code.lend { writer.string($0) }
        }
        DumpPayload.appendFooter(to: output, version: RDBWriter.usualVersion)
        body(output.bytes)
    }

    /// The libraries' code. Nothing in the payload is trusted. O(bytes).
    public static func read(_ payload: Bytes, checksum: Bool) throws(Failure) -> [[UInt8]] {
        guard let content = DumpPayload.content(of: payload, checksum: checksum) else { throw .foreign }
        var options = RDBOptions()
        options.mends = false
        let reader = RDBReader(
            payload: content, isValkey: false, options: options, visitor: EntryVisitor(limits: Limits()))
        var codes: [[UInt8]] = []
        var isOther = false
        do throws(StorageError) {
            isOther = try !reader.readLibraries { codes.append($0.array) }
        } catch {
            throw .damaged
        }
        if isOther { throw .otherType }
        return codes
    }
}
