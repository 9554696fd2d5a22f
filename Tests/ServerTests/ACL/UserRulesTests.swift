import Storage
import TestSupport
import Testing

@testable import Server

/// Rules of users, what they make of selectors, and how they are shown.
struct UserRulesTests {
    private static let context = RuleContext(catalog: CommandCatalog(CommandTable.all))
    private var context: RuleContext { Self.context }

    private func rules(_ words: ByteString...) throws(RuleError) -> UserRules {
        var rules = UserRules(context)
        for word in words { try rules.apply(word, context) }
        return rules
    }
    private func number(_ name: ByteString) throws -> Int { try #require(context.catalog.find(name)).number }

    // MARK: Commands

    @Test func aContainerStandsForItsSubcommands() throws {
        var selector = try rules("+config").selectors[0]
        for name: ByteString in ["config", "config|get", "CONFIG|SET"] {
            #expect(selector.allows(command: try number(name)))
        }
        #expect(!selector.allows(command: try number("client")))
        try selector.apply("-config|set", context.catalog)
        #expect(!selector.allows(command: try number("config|set")))
        #expect(selector.allows(command: try number("config|get")))
    }

    @Test func allCommandsAreThoseToComeToo() throws {
        #expect(try rules("+@all").selectors[0].hasAllCommands)
        #expect(try !rules("+@all", "-get").selectors[0].hasAllCommands)
        #expect(try !rules("+@all", "-get", "+get").selectors[0].hasAllCommands)
        #expect(try rules("+@all", "-@read", "allcommands").selectors[0].hasAllCommands)
    }

    @Test func aFirstArgument() throws {
        let selector = try rules("+select|0", "+SELECT|A").selectors[0]
        let select = try number("select")
        #expect(!selector.allows(command: select))
        let words: [(StaticString, Bool)] = [("0", true), ("a", true), ("A", true), ("1", false), ("", false)]
        for (word, isAllowed) in words {
            #expect(selector.allows(command: select, with: Bytes(word)) == isAllowed, "\(word)")
        }
        let without = try rules("+select|0", "-select").selectors[0]
        #expect(!without.allows(command: select, with: Bytes("0")))
    }

    @Test func categoriesAreThoseOfTheRows() throws {
        for (category, name) in Categories.names {
            let selector = try rules("+@\(name)").selectors[0]
            for item in context.catalog.items where item.categories.contains(category) {
                #expect(selector.allows(command: item.number), "\(item.name) is in \(name)")
            }
        }
    }

    // MARK: Keys and channels

    @Test func rightsOfPatternsAddUp() throws {
        let selector = try rules("%R~a*", "%W~b*", "%R~b*", "~c").selectors[0]
        #expect(selector.keys.map(\.rights) == [.read, .all, .all])
        func allows(_ key: StaticString, _ rights: KeyRights) -> Bool { selector.allows(key: Bytes(key), rights) }
        #expect(allows("a1", .read) && !allows("a1", .write) && !allows("a1", .all) && allows("a1", []))
        #expect(allows("b", .all) && allows("c", .all) && !allows("c1", []) && !allows("d", []))
        #expect(!selector.allowsAnyKey(.read))
        #expect(try rules("%R~*").selectors[0].allowsAnyKey(.read))
        #expect(try !rules("%R~*").selectors[0].allowsAnyKey(.write))
    }

    @Test func whoSubscribesToAPatternNeedsThatVeryOne() throws {
        let selector = try rules("&news*").selectors[0]
        #expect(selector.allows(channel: Bytes("news1"), isPattern: false))
        #expect(selector.allows(channel: Bytes("news*"), isPattern: true))
        #expect(!selector.allows(channel: Bytes("news1"), isPattern: true))
        #expect(!selector.allows(channel: Bytes("new"), isPattern: false))
    }

    // MARK: Users

    @Test func passwords() throws {
        let user = User("ann", try rules("on", ">one", ">two", ">one", "<two"))
        #expect(user.rules.passwords.count == 1)
        #expect(user.accepts(Bytes("one")) && !user.accepts(Bytes("two")) && !user.accepts(Bytes()))
        try user.rules.apply("off", context)
        #expect(!user.accepts(Bytes("one")))
        user.rules = try rules("nopass")
        #expect(!user.accepts(Bytes()) && !user.isOpen)
        user.rules = try rules("nopass", "on")
        #expect(user.accepts(Bytes("any")) && user.isOpen)
    }

    @Test func mayEverythingIsSeenAtOnce() throws {
        let user = User("ann", try rules("+@all", "~*", "&*"))
        #expect(user.allowsEverything)
        for rule: ByteString in ["-get", "resetkeys", "resetchannels", "db=0", "reset"] {
            user.rules = try rules("+@all", "~*", "&*", rule)
            #expect(!user.allowsEverything, "\(rule)")
        }
        user.rules = try rules("(+@all ~* &*)")
        #expect(!user.allowsEverything, "only the first selector counts: the others are asked")
    }

    @Test(
        arguments: [
            "bogus", "~a b", "&a\tb", "%~a", "%RR~a", "+", "-", "+@", "+nosuch", "-select|0", "+select|", "(", "()x",
            "(on)", "((+get))",
            "#12", "!12", "<none", "db=", "db=x", "db=1,", "db=-1", "db=99999999999",
        ] as [ByteString])
    func aWrongRuleThrowsAndChangesNothing(_ rule: ByteString) throws {
        var rules = try rules("on", "+get", "~a", "&b")
        let before = rules
        #expect(throws: RuleError.self) { try rules.apply(rule, context) }
        #expect(rules == before)
    }

    /// What is shown makes the same user again.
    @Test func textIsReadAgain() throws {
        var random = SeededRandom()
        let words: [ByteString] = [
            "on", "off", "nopass", ">a", ">b", "resetpass", "skip-sanitize-payload", "+@all", "-@all", "+get", "-get",
            "+@read",
            "-@write", "+config|get", "-config|get", "+config", "+select|0", "~a*", "%R~b", "%W~b", "%RW~*", "~*",
            "resetkeys",
            "&c", "&*", "resetchannels", "db=0,3", "resetdbs", "alldbs", "(+get ~a &b)", "(%RW~* ~x +@all db=1)",
            "clearselectors",
        ]
        for _ in 0..<2000 {
            let user = User("ann", UserRules(context))
            for _ in 0..<random.below(9) { try? user.rules.apply(random.pick(words), context) }
            let declared = try UserFile.parse(UserFile.text([user]), name: "users", context)
            try expect(declared["ann"], isLike: user)
            var lines = UserDeclarations()
            try lines.add(Array(try #require(splitWords(user.configLine)).dropFirst()), context)
            try expect(lines.users["ann"], isLike: user)
        }
    }

    /// The same text, and the same commands: whether those to come are among them shows only until one is taken away and given
    /// again.
    private func expect(_ rules: UserRules?, isLike user: User) throws {
        let again = User(user.name, try #require(rules))
        #expect(again.fileLine == user.fileLine)
        for (a, b) in zip(again.rules.selectors, user.rules.selectors) {
            #expect(context.catalog.items.allSatisfy { a.allows(command: $0.number) == b.allows(command: $0.number) })
        }
    }

    // MARK: Selectors of several words

    @Test func selectorsOfSeveralWords() throws {
        #expect(try joinedSelectors(["on", "(+get", "~a", ")", "(x)"]) == ["on", "(+get ~a )", "(x)"])
        #expect(try joinedSelectors(["(", "(", ")", ")"]) == ["( ( )", ")"])
        #expect(throws: UnmatchedParenthesis.self) { try joinedSelectors(["(+get", "~a"]) }
        #expect(try joinedSelectors([]) == [])
    }

    // MARK: The log

    @Test func likeEventsAreOneEntry() {
        let log = ACLLog()
        func note(_ object: ByteString, _ now: Int64) {
            log.note(.key, .toplevel, object: object, user: "ann", client: "at \(now)", now: now, limit: 4)
        }
        note("a", 0)
        note("b", 10)
        note("a", 60_000)
        #expect(log.entries.map(\.object) == ["a", "b"] && log.entries.map(\.count) == [2, 1])
        #expect(log.entries[0].id == 0 && log.entries[0].created == 0 && log.entries[0].client == "at 60000")
        note("a", 120_001)
        #expect(log.entries.map(\.id) == [2, 0, 1])
        for i in 0..<12 { note("\(i)", 120_001) }
        #expect(log.entries.count == 4 && log.denied[.key] == 16)
        log.trim(to: 0)
        #expect(log.entries.isEmpty)
    }
}
