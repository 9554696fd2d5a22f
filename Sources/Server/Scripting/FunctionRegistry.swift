import Storage

/// A function as its library's code has registered it.
final class RegisteredFunction {
    let name: ByteString
    let description: ByteString?
    let flags: ScriptFlags
    /// What the host knows it by.
    let reference: Int32

    init(name: ByteString, description: ByteString?, flags: ScriptFlags, reference: Int32) {
        self.name = name
        self.description = description
        self.flags = flags
        self.reference = reference
    }
}

final class Library {
    let name: ByteString
    let code: [UInt8]
    /// In the order in which they were registered.
    let functions: [RegisteredFunction]

    init(_ name: ByteString, _ code: [UInt8], _ functions: [RegisteredFunction]) {
        self.name = name
        self.code = code
        self.functions = functions
    }
}

/// The libraries and functions that are there, compiled. Names of functions are the same in any case, those of libraries are not.
struct FunctionRegistry {
    private(set) var libraries: [ByteString: Library] = [:]
    /// By the hash of their names.
    private var functions: [UInt64: [RegisteredFunction]] = [:]
    private(set) var functionCount = 0

    /// Allocates nothing.
    func function(_ name: Bytes) -> RegisteredFunction? {
        guard let candidates = functions[Self.hash(name)] else { return nil }
        return candidates.first { $0.name.withBytes { Self.areSame($0, name) } }
    }

    private static func folded(_ byte: UInt8) -> UInt8 { byte >= 65 && byte <= 90 ? byte | 32 : byte }
    private static func areSame(_ a: Bytes, _ b: Bytes) -> Bool {
        a.count == b.count && (0..<a.count).allSatisfy { folded(a[$0]) == folded(b[$0]) }
    }
    /// FNV-1a, of the name in lower case: names are the libraries', which are few.
    private static func hash(_ name: Bytes) -> UInt64 {
        name.buffer.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64(folded($1))) &* 0x100_0000_01b3 }
    }

    /// Throws where a function is there in another library; one of the same name was removed before.
    mutating func add(_ library: Library) throws(CommandError) {
        for function in library.functions where function.name.withBytes({ self.function($0) }) != nil {
            throw CommandError(text: "ERR Function \(function.name) already exists")
        }
        // Of two that differ in case alone, which a library may have, the first is called.
        for function in library.functions where function.name.withBytes({ self.function($0) }) == nil {
            functions[function.name.withBytes(Self.hash), default: []].append(function)
        }
        functionCount += library.functions.count
        libraries[library.name] = library
    }

    @discardableResult mutating func remove(_ name: ByteString) -> Library? {
        guard let library = libraries.removeValue(forKey: name) else { return nil }
        for function in library.functions {
            functions[function.name.withBytes(Self.hash)]?.removeAll { $0 === function }
        }
        functionCount -= library.functions.count
        return library
    }

    /// By name in ascending order.
    var sorted: [Library] { libraries.values.sorted { $0.name < $1.name } }

    /// Bytes that libraries take outside of Lua, roughly.
    var memory: Int {
        libraries.values.reduce(0) { sum, library in
            library.functions.reduce(sum + library.code.count + library.name.count + 128) {
                $0 + $1.name.count + ($1.description?.count ?? 0) + 96
            }
        }
    }
}
