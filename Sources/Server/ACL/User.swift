import Storage

/// A user: how to log in, and what may be done then. Sessions refer to it, so that a change reaches them at once. Confined to
/// the loop.
final class User {
    let name: ByteString
    var rules: UserRules { didSet { allowsEverything = rules.selectors[0].allowsEverything } }
    /// Nothing needs to be checked.
    private(set) var allowsEverything: Bool

    init(_ name: ByteString, _ rules: UserRules) {
        self.name = name
        self.rules = rules
        allowsEverything = rules.selectors[0].allowsEverything
    }

    var isDisabled: Bool { !rules.isEnabled }
    /// Everybody gets in who gives the name, whatever the password.
    var isOpen: Bool { rules.isEnabled && rules.takesAnyPassword }

    /// Whether the password lets in. In a time that tells nothing about how much of it is right.
    func accepts(_ password: Bytes) -> Bool {
        if isDisabled { return false }
        if rules.takesAnyPassword { return true }
        let hash = UserRules.hash(ByteString(password))
        var isRight = false
        for known in rules.passwords {
            var difference: UInt8 = 0
            for (a, b) in zip(known.bytes, hash.bytes) { difference |= a ^ b }
            if difference == 0 { isRight = true }
        }
        return isRight
    }
}

/// All that rules say of a user.
struct UserRules: Sendable, Equatable {
    /// Whether RESTORE looks into payloads. Shown only: this server looks into all of them.
    enum Sanitizing: Sendable { case always, skipped }

    var isEnabled = false
    var takesAnyPassword = false
    var sanitizing = Sanitizing.always
    /// SHA-256 of each password, 64 hexadecimal digits in lower case.
    var passwords: [ByteString] = []
    /// The first is the user's own; the others stand in parentheses.
    private(set) var selectors: [Selector]

    /// A new user, who may do nothing.
    init(_ context: RuleContext) {
        selectors = [Selector(context.catalog, hasAllChannels: context.allowsChannels)]
    }

    mutating func allowEverything() {
        selectors[0].allowAllCommands()
        selectors[0].allowAllKeys()
        selectors[0].allowAllChannels()
        selectors[0].allow(databases: nil)
    }

    static func hash(_ password: ByteString) -> ByteString { ByteString(SHA256.hexadecimal(of: password.bytes)) }

    // MARK: - Rules

    /// Applies a rule; nothing changes when it throws.
    mutating func apply(_ rule: ByteString, _ context: RuleContext) throws(RuleError) {
        switch rule.lowercased {
        case "on": isEnabled = true
        case "off": isEnabled = false
        case "nopass":
            takesAnyPassword = true
            passwords = []
        case "resetpass": resetPasswords()
        case "sanitize-payload": sanitizing = .always
        case "skip-sanitize-payload": sanitizing = .skipped
        case "clearselectors": selectors.removeLast(selectors.count - 1)
        case "reset": self = UserRules(context)
        case _ where rule.hasPrefix("("):
            guard rule.bytes.last == UInt8(ascii: ")") else { throw .syntax }
            selectors.append(try Self.selector(rule, context))
        default:
            switch rule.bytes.first {
            case UInt8(ascii: ">"): add(Self.hash(rule.dropFirst(1)))
            case UInt8(ascii: "#"): add(try Self.checkedHash(rule.dropFirst(1)))
            case UInt8(ascii: "<"): try remove(Self.hash(rule.dropFirst(1)))
            case UInt8(ascii: "!"): try remove(try Self.checkedHash(rule.dropFirst(1)))
            default: try selectors[0].apply(rule, context.catalog)
            }
        }
    }

    /// The one password from now on; an empty one: any will do. `requirepass`.
    mutating func setPassword(_ password: ByteString) {
        resetPasswords()
        if password.isEmpty { takesAnyPassword = true } else { add(Self.hash(password)) }
    }

    private mutating func resetPasswords() {
        takesAnyPassword = false
        passwords = []
    }
    private mutating func add(_ hash: ByteString) {
        takesAnyPassword = false
        if !passwords.contains(hash) { passwords.append(hash) }
    }
    private mutating func remove(_ hash: ByteString) throws(RuleError) {
        guard let index = passwords.firstIndex(of: hash) else { throw .unknownPassword }
        passwords.remove(at: index)
    }
    private static func checkedHash(_ text: ByteString) throws(RuleError) -> ByteString {
        let isHash =
            text.count == 64 && text.bytes.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
        if !isHash { throw .badHash }
        return text
    }

    private static func selector(_ rule: ByteString, _ context: RuleContext) throws(RuleError) -> Selector {
        var selector = Selector(context.catalog, hasAllChannels: context.allowsChannels)
        for part in ByteString(rule.bytes.dropFirst().dropLast()).words {
            try selector.apply(part, context.catalog)
        }
        return selector
    }
}

/// What rules are read with.
struct RuleContext: Sendable {
    let catalog: CommandCatalog
    /// `acl-pubsub-default`: whether new users and selectors may use all channels.
    var allowsChannels = false
}
