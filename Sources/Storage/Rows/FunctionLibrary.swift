/// A library of functions is its code; the first line names it: `#!lua name=mylib`.
public enum FunctionLibrary {
    public typealias Text = (name: [UInt8], code: [UInt8])

    /// The name in the code; nil where there is none. O(first line).
    public static func name(in code: Bytes) -> Bytes? {
        guard code.count > 2, code[0] == UInt8(ascii: "#"), code[1] == UInt8(ascii: "!") else { return nil }
        let prefix = Bytes("name=")
        var at = 2
        while at < code.count, code[at] != UInt8(ascii: "\n") {
            let start = at
            while at < code.count, code[at] > UInt8(ascii: " ") { at += 1 }
            let word = code[start..<at]
            if word.count > prefix.count, word[0..<prefix.count] == prefix { return word[prefix.count..<word.count] }
            while at < code.count, code[at] <= UInt8(ascii: " "), code[at] != UInt8(ascii: "\n") { at += 1 }
        }
        return nil
    }
}
