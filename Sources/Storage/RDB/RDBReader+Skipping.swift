// What is in the file and cannot be kept: refused by name, or gone past where the options say so.

extension RDBReader {
    /// Why a value of this kind is not kept; nil when it is.
    func unsupported(_ kind: RDBFormat.Kind) -> RDBUnsupported? {
        kind == .module1 || kind == .module2 ? .module : nil
    }

    /// Goes past the value in hand, or refuses it.
    func skip(_ kind: RDBFormat.Kind, _ reason: RDBUnsupported) throws(StorageError) {
        if kind == .module1 {
            throw damage("holds a module's value in the old form, which cannot even be skipped", at: keyOffset)
        }
        try note(reason, "key \(keyName) in database \(database) holds \(reason.rawValue)")
        if kind == .module2 { return try skipModuleValue(try length()) }
        dropped = true
        _ = try readValue(kind)
    }

    private func note(_ reason: RDBUnsupported, _ what: @autoclosure () -> String) throws(StorageError) {
        guard options.skipUnsupported else {
            throw input.damage(
                """
                \(what()), which is not supported; `redis-migrate to-sqlite --skip-unsupported` leaves it out
                """, at: keyOffset)
        }
        summary.skipped[reason, default: 0] += 1
    }

    // MARK: - Modules

    func skipModuleAuxiliary() throws(StorageError) {
        let identifier = try length()
        try note(.moduleAuxiliary, "there is auxiliary data of the module \(moduleName(identifier))")
        // When it is loaded: a number like those of the value.
        let offset = input.offset
        guard try length() == RDBFormat.ModuleOpcode.unsigned.rawValue else {
            throw input.damage("auxiliary data of a module does not say when it is to be loaded", at: offset)
        }
        _ = try length()
        try skipModuleValue(identifier)
    }

    private func skipModuleValue(_ identifier: UInt64) throws(StorageError) {
        while true {
            let offset = input.offset
            let code = try length()
            switch RDBFormat.ModuleOpcode(rawValue: code) {
            case .end: return
            case .signed, .unsigned: _ = try length()
            case .float: try input.skip(4)
            case .double: try input.skip(8)
            case .string: try skipString()
            case nil:
                throw input.damage("\(code) is no part of a value of the module \(moduleName(identifier))", at: offset)
            }
        }
    }

    /// Nine characters of six bits each; the low ten bits are the module's version of its encoding.
    private func moduleName(_ identifier: UInt64) -> String {
        let alphabet = Bytes("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        var name = ""
        for i in 0..<9 {
            let index = Int(identifier >> UInt64(10 + 6 * (8 - i)) & 63)
            name.unicodeScalars.append(UnicodeScalar(alphabet[index]))
        }
        return name
    }

    // MARK: - Functions

    /// The form of release candidates of Redis 7.0.
    func skipFunctions() throws(StorageError) {
        try note(.function, "there is a library of functions in the form of a release candidate of Redis 7.0")
        // Name, engine, whether there is a description, the description, the code.
        try skipString()
        try skipString()
        if try length() != 0 { try skipString() }
        try skipString()
    }
}
