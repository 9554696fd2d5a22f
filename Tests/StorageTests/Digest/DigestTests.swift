import Testing

@testable import Storage

private func sha1(_ text: String) -> String {
    let out = OutputBuffer()
    out.append(text: text)
    return SHA1(of: out.bytes).hex
}

@Suite struct SHA256Tests {
    /// From FIPS 180-4's examples, and lengths around a block's end as sha256sum has them.
    @Test(arguments: [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (3, "9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0"),
        (55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"),
        (56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"),
        (63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"),
        (64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"),
        (65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"),
        (119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"),
        (1000, "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"),
    ])
    func digests(count: Int, hexadecimal: String) {
        let digest = SHA256.hexadecimal(of: [UInt8](repeating: UInt8(ascii: "a"), count: count))
        #expect(String(decoding: digest, as: UTF8.self) == hexadecimal)
    }
}

@Suite struct SHA1Tests {
    /// The vectors of FIPS 180-4's examples.
    @Test(arguments: [
        ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        ),
    ])
    func published(text: String, digest: String) {
        #expect(sha1(text) == digest)
    }

    @Test func aMillionAs() {
        #expect(sha1(String(repeating: "a", count: 1_000_000)) == "34aa973cd4c4daa4f61eeb2bdbad27316534016f")
    }

    /// Around the block's edges, where padding takes one or two blocks; digests from coreutils' sha1sum.
    @Test(arguments: [
        (55, "c1c8bbdc22796e28c0e15163d20899b65621d65a"), (56, "c2db330f6083854c99d4b5bfb6e8f29f201be699"),
        (63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5"), (64, "0098ba824b5c16427bd7a1122a5a442a25ec644d"),
        (65, "11655326c708d70319be2610e8a57d9a5b959d3b"),
    ])
    func edges(length: Int, digest: String) {
        #expect(sha1(String(repeating: "a", count: length)) == digest)
    }
}

@Suite struct GlobTests {
    private func matches(_ pattern: String, _ text: String, ignoringCase: Bool = false) -> Bool {
        let p = OutputBuffer()
        p.append(text: pattern)
        let t = OutputBuffer()
        t.append(text: text)
        return stringmatch(p.bytes, t.bytes, ignoringCase: ignoringCase)
    }

    @Test(arguments: [
        ("", ""), ("**", "abc"), ("a*c", "abbbc"), ("*b*", "abc"), ("a?c", "abc"), ("[a-c]x", "bx"),
        ("[c-a]x", "bx"), ("[^a-c]x", "dx"), ("a\\*b", "a*b"), ("[\\]]", "]"), ("[abc", "c"), ("*.txt", "a.txt.txt"),
        ("\\", "\\"), ("[^]", "x"), ("h[^e]llo", "hallo"), ("[a-", "a"), ("*a*b", "xaxbxb"),
    ])
    func match(pattern: String, text: String) {
        #expect(matches(pattern, text))
    }

    @Test(arguments: [
        ("", "a"), ("*", ""), ("**", ""), ("a", ""), ("a?", "a"), ("[a-c]x", "dx"), ("[^a-c]x", "bx"), ("a\\*b", "axb"),
        ("[]", "a"),
        ("*.txt", "a.txtx"), ("A", "a"), ("*a*b", "xaxbxc"), ("[", "a"),
    ])
    func noMatch(pattern: String, text: String) {
        #expect(!matches(pattern, text))
    }

    @Test func caseFolding() {
        #expect(matches("ABC*[D-F]", "abcxe", ignoringCase: true))
        #expect(matches("maxmem*", "MAXMEMORY", ignoringCase: true))
    }

    /// A backtracking matcher takes exponential time here.
    @Test func manyStarsEnd() {
        let pattern = String(repeating: "a*", count: 2000) + "b"
        #expect(!matches(pattern, String(repeating: "a", count: 20000)))
    }
}

/// Digests that redis-server 7.0.15 answered for the same data.
@Suite struct DigestTests {
    private let keyspace = Keyspace(databases: 16)
    private var database: Database { keyspace.databases[0] }

    private func withBytes<Result>(_ text: String, _ body: (Bytes) -> Result) -> Result {
        let buffer = OutputBuffer()
        buffer.append(text: text)
        return body(buffer.bytes)
    }
    private func set(_ key: String, _ value: String, in database: Database, expiry: ExpiryChange = .clear) {
        withBytes(key) { key in withBytes(value) { database.setString(key, $0, expiry: expiry) } }
    }
    private func list(_ key: String, _ elements: [String]) {
        let editor = withBytes(key) { database.replaceWithNewList($0) }
        for element in elements { withBytes(element) { editor.push($0, .tail) } }
    }
    private func set(_ key: String, _ members: [String]) {
        let editor = withBytes(key) { database.replaceWithNewSet($0) }
        for member in members { withBytes(member) { _ = editor.insert($0) } }
    }
    private func zset(_ key: String, _ members: [(String, Double)]) {
        let editor = withBytes(key) { database.replaceWithNewZSet($0) }
        for (member, score) in members { withBytes(member) { _ = editor.set($0, score) } }
    }
    private func hash(_ key: String, _ fields: [(String, String)]) {
        let editor = withBytes(key) { database.replaceWithNewHash($0) }
        for (field, value) in fields { withBytes(field) { f in withBytes(value) { _ = editor.set(f, $0) } } }
    }

    private func fill() {
        keyspace.now = 1_000_000_000_000
        set("s", "hello", in: database)
        set("i", "12345", in: database)
        list("l", ["a", "b", "c", "1"])
        set("m", ["x", "y", "z"])
        set("ints", ["1", "2", "3"])
        zset("z", [("one", 1), ("two", 2.5), ("tenth", 0.1), ("low", -.infinity), ("big", 1e300)])
        hash("h", [("f1", "v1"), ("f2", "v2")])
        set("e", "v", in: database, expiry: .at(99_999_999_999_999))
        set("other", "db", in: keyspace.databases[9])
    }

    @Test func wholeKeyspace() {
        #expect(DataDigest.hex(of: keyspace) == String(repeating: "0", count: 40))
        fill()
        #expect(DataDigest.hex(of: keyspace) == "ad8a10d5c84eeff933c27212307ec1a88c44a19c")
    }

    @Test(arguments: [
        ("s", "36b23a1456b2dce2c3ed252c456761301dba8060"), ("i", "e1cf90774e995ae03de66e8109dc5cb9d9c2dc83"),
        ("l", "e093abdde6c4844ba87b7ed2172d25e2334a432b"), ("m", "0fd9977d57e46b1b9b87439f5ac5b338416ccc24"),
        ("ints", "2a462a3f51a1db89738ebbeef0c47ce1bbc85246"), ("z", "180242a7d1de22efa9d1834c184db35d6f362bd2"),
        ("h", "047cc60ea73a34cde6d08a2721a4a26d19ee6570"), ("e", "311b17018163335616e089f6b951c82c477335ac"),
        ("none", "0000000000000000000000000000000000000000"),
    ])
    func oneValue(key: String, digest: String) {
        fill()
        #expect(withBytes(key) { DataDigest.hex(ofValueAt: $0, in: database) } == digest)
    }

    /// How a value lies in memory must not show.
    @Test func encodingDoesNotMatter() {
        fill()
        let other = Keyspace(databases: 16)
        other.limits.hashMaxListpackEntries = 0
        let editor = withBytes("h") { other.databases[0].replaceWithNewHash($0) }
        for (field, value) in [("f2", "v2"), ("f1", "v1")] {
            withBytes(field) { f in withBytes(value) { _ = editor.set(f, $0) } }
        }
        let digest = withBytes("h") { DataDigest.hex(ofValueAt: $0, in: other.databases[0]) }
        #expect(digest == "047cc60ea73a34cde6d08a2721a4a26d19ee6570")
    }
}
