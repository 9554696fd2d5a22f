import Testing

@testable import Storage

private func sha1(_ text: String) -> String {
    let out = OutputBuffer()
    out.append(text)
    return SHA1(of: out.bytes).hex
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
        p.append(pattern)
        let t = OutputBuffer()
        t.append(text)
        return stringmatch(p.bytes, t.bytes, ignoringCase: ignoringCase)
    }

    @Test(arguments: [
        ("", ""), ("*", ""), ("**", "abc"), ("a*c", "abbbc"), ("*b*", "abc"), ("a?c", "abc"), ("[a-c]x", "bx"),
        ("[c-a]x", "bx"), ("[^a-c]x", "dx"), ("a\\*b", "a*b"), ("[\\]]", "]"), ("[abc", "c"), ("*.txt", "a.txt.txt"),
        ("\\", "\\"), ("[^]", "x"), ("h[^e]llo", "hallo"), ("[a-", "a"), ("*a*b", "xaxbxb"),
    ])
    func match(pattern: String, text: String) {
        #expect(matches(pattern, text))
    }

    @Test(arguments: [
        ("", "a"), ("a", ""), ("a?", "a"), ("[a-c]x", "dx"), ("[^a-c]x", "bx"), ("a\\*b", "axb"), ("[]", "a"),
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
