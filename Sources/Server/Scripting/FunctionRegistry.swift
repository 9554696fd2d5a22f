import Storage

/// A function as its library's code has registered it.
struct RegisteredFunction {
    let name: ByteString
    let description: ByteString?
    let flags: ScriptFlags
    /// What the host knows it by.
    let reference: Int32
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
    private var functions: [ByteString: RegisteredFunction] = [:]
    /// The name of a function in lower case, for look-ups.
    var functionCount: Int { functions.count }

    @inline(__always) func function(_ name: Bytes) -> RegisteredFunction? { functions[ByteString(name).lowercased] }

    /// The library that has a function of this name.
    func library(with function: ByteString) -> Library? {
        let name = function.lowercased
        return libraries.values.first { $0.functions.contains { $0.name.lowercased == name } }
    }

    /// Throws where a function is there in another library; one of the same name was removed before.
    mutating func add(_ library: Library) throws(CommandError) {
        for function in library.functions where functions[function.name.lowercased] != nil {
            throw CommandError(bytes: ByteString("ERR Function \(function.name) already exists").bytes)
        }
        for function in library.functions { functions[function.name.lowercased] = function }
        libraries[library.name] = library
    }

    @discardableResult mutating func remove(_ name: ByteString) -> Library? {
        guard let library = libraries.removeValue(forKey: name) else { return nil }
        for function in library.functions { functions[function.name.lowercased] = nil }
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
