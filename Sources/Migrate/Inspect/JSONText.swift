import Storage

/// A JSON document that is written a value at a time. What is nested is closed by who opened it.
struct JSONText {
    private(set) var text = ""
    /// Nothing has been written since the last bracket or name.
    private var isFirst = true

    private mutating func separate() {
        if !isFirst { text += "," }
        isFirst = false
    }
    private mutating func nested(_ open: String, _ close: String, _ body: (inout JSONText) -> Void) {
        separate()
        text += open
        isFirst = true
        body(&self)
        text += close
        isFirst = false
    }

    mutating func object(_ body: (inout JSONText) -> Void) { nested("{", "}", body) }
    mutating func array(_ body: (inout JSONText) -> Void) { nested("[", "]", body) }
    mutating func name(_ name: String) {
        separate()
        text += JSONText.quoted(name) + ":"
        isFirst = true
    }
    mutating func value(_ string: String) {
        separate()
        text += JSONText.quoted(string)
    }
    mutating func value(_ number: Int) { raw("\(number)") }
    mutating func value(_ flag: Bool) { raw(flag ? "true" : "false") }
    /// What is JSON already.
    mutating func raw(_ value: String) {
        separate()
        text += value
    }

    mutating func member(_ name: String, _ value: String) {
        self.name(name)
        self.value(value)
    }
    mutating func member(_ name: String, _ value: Int) {
        self.name(name)
        self.value(value)
    }
    /// Bytes: as text under `name` where they are UTF-8, else in hexadecimal under `name` and `_hex`.
    mutating func member(_ name: String, bytes: [UInt8]) {
        if let text = String(validating: bytes, as: UTF8.self) {
            member(name, text)
        } else {
            member(name + "_hex", hexadecimal(bytes))
        }
    }

    private static func quoted(_ string: String) -> String {
        var out = "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"", "\\": out += "\\\(scalar)"
            case "\n": out += "\\n"
            case "\u{0}"..."\u{1f}", "\u{7f}", "\u{2028}", "\u{2029}":
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}

func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".unicodeScalars)
    var text = ""
    for byte in bytes {
        text.unicodeScalars.append(digits[Int(byte >> 4)])
        text.unicodeScalars.append(digits[Int(byte & 15)])
    }
    return text
}

/// `bytes` for people: as they are where they are printable UTF-8, else with \xFF for what is not.
func readable(_ bytes: [UInt8]) -> String {
    let isText = String(validating: bytes, as: UTF8.self).map { text in
        text.unicodeScalars.allSatisfy { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: false
            default: true
            }
        }
    }
    if isText == true { return String(decoding: bytes, as: UTF8.self) }
    var text = ""
    for byte in bytes {
        if byte >= 32 && byte < 127 && byte != 92 {
            text.unicodeScalars.append(Unicode.Scalar(byte))
        } else {
            text += "\\x" + hexadecimal([byte])
        }
    }
    return text
}

/// `number` with a comma for each three digits.
func grouped(_ number: Int) -> String {
    let digits = String(number.magnitude)
    var text = number < 0 ? "-" : ""
    for (i, digit) in digits.enumerated() {
        if i > 0 && (digits.count - i) % 3 == 0 { text += "," }
        text.append(digit)
    }
    return text
}

/// `bytes` with a unit, in powers of 1000.
func sized(_ bytes: Int) -> String {
    var value = Double(bytes)
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if value < 1000 || unit == "TB" { return unit == "B" ? "\(bytes) B" : "\(fixedPoint(value, 1)) \(unit)" }
        value /= 1000
    }
    return "\(bytes) B"
}
