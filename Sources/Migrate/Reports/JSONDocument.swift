import Storage

/// A JSON document that is written a value at a time. What is nested is closed by who opened it.
struct JSONDocument {
    private let buffer = OutputBuffer()
    /// Nothing has been written since the last bracket or name.
    private var isFirst = true

    var text: String { buffer.bytes.string }

    private mutating func separate() {
        if !isFirst { buffer.append(",") }
        isFirst = false
    }
    private mutating func nested(
        _ open: StaticString, _ close: StaticString, _ body: (inout JSONDocument) throws(StorageError) -> Void
    ) throws(StorageError) {
        separate()
        buffer.append(open)
        isFirst = true
        try body(&self)
        buffer.append(close)
        isFirst = false
    }

    mutating func object(_ body: (inout JSONDocument) throws(StorageError) -> Void) throws(StorageError) {
        try nested("{", "}", body)
    }
    mutating func array(_ body: (inout JSONDocument) throws(StorageError) -> Void) throws(StorageError) {
        try nested("[", "]", body)
    }
    mutating func name(_ name: String) {
        value(name)
        buffer.append(":")
        isFirst = true
    }
    mutating func value(_ string: String) { value(Array(string.utf8)) }
    /// As convert writes bytes: text, or `b64:` and base64.
    mutating func value(_ bytes: [UInt8]) {
        separate()
        bytes.lend { buffer.append(json: $0) }
    }
    mutating func value(_ number: Int) {
        separate()
        buffer.append(decimal: Int64(number))
    }
    mutating func value(_ flag: Bool) {
        separate()
        buffer.append(flag ? "true" : "false")
    }

    mutating func member(_ name: String, _ value: String) {
        self.name(name)
        self.value(value)
    }
    mutating func member(_ name: String, _ value: [UInt8]) {
        self.name(name)
        self.value(value)
    }
    mutating func member(_ name: String, _ value: Int) {
        self.name(name)
        self.value(value)
    }
}
