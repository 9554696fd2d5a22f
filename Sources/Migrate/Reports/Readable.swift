import Storage

func asHex(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".unicodeScalars)
    var text = ""
    for byte in bytes {
        text.unicodeScalars.append(digits[Int(byte >> 4)])
        text.unicodeScalars.append(digits[Int(byte & 15)])
    }
    return text
}

/// What changes or hides the text around it.
private let notShown: [Unicode.GeneralCategory] = [
    .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned,
]

/// `bytes` for people: as they are where they are printable UTF-8, else with \xFF for what is not.
func readable(_ bytes: [UInt8]) -> String {
    let isText = String(validating: bytes, as: UTF8.self).map { text in
        text.unicodeScalars.allSatisfy { !notShown.contains($0.properties.generalCategory) }
    }
    if isText == true { return String(decoding: bytes, as: UTF8.self) }
    var text = ""
    for byte in bytes {
        if byte >= 32 && byte < 127 && byte != 92 {
            text.unicodeScalars.append(Unicode.Scalar(byte))
        } else {
            text += "\\x" + asHex([byte])
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
