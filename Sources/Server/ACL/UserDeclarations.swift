/// Users that a configuration or a file declares, line by line.
struct UserDeclarations: Sendable {
    private(set) var users: [ByteString: UserRules] = [:]

    /// Reads `user <name> <rule> …`, without the first word. Throws for the first of its faults, which is named after the
    /// part of the line that has it, as in Redis.
    mutating func add(_ words: [ByteString], _ context: RuleContext) throws(SettingError) {
        func fault(_ part: ByteString, _ text: ByteString) -> SettingError {
            SettingError("Error in user declaration '\(part)': \(text)")
        }
        let name = words[0]
        if name.holdsSpace { throw SettingError("Spaces not allowed in ACL usernames") }
        if users[name] != nil {
            throw fault(name, "Duplicate user found. A user can only be defined once in config files")
        }
        let given = Array(words.dropFirst())
        let joined: [ByteString]
        do throws(UnmatchedParenthesis) {
            joined = try joinedSelectors(given)
        } catch {
            throw fault(error.rule, "Unmatched parenthesis in selector definition.")
        }
        var rules = UserRules(context)
        for rule in joined {
            do throws(RuleError) { try rules.apply(rule, context) } catch { throw fault(rule, error.text) }
        }
        users[name] = rules
    }
}

/// A rule that begins with a parenthesis which nothing closes.
struct UnmatchedParenthesis: Error { let rule: ByteString }

/// Selectors that came in several words, put together: `(+get`, `~a)` is `(+get ~a)`.
func joinedSelectors(_ words: [ByteString]) throws(UnmatchedParenthesis) -> [ByteString] {
    var rules: [ByteString] = []
    var open: (first: ByteString, text: ByteString)?
    for word in words {
        let closes = word.bytes.last == UInt8(ascii: ")")
        if let (first, text) = open {
            let longer: ByteString = "\(text) \(word)"
            if closes { rules.append(longer) }
            open = closes ? nil : (first, longer)
        } else if word.hasPrefix("(") && !closes {
            open = (word, word)
        } else {
            rules.append(word)
        }
    }
    if let open { throw UnmatchedParenthesis(rule: open.first) }
    return rules
}

/// The file that `aclfile` names: a line `user <name> <rule> …` for each user.
enum UserFile {
    /// All that is wrong with a file, line by line, in Redis's words.
    struct Fault: Error { let text: ByteString }

    /// What the bytes of the file `name` declare. Throws all faults at once.
    static func parse(_ bytes: [UInt8], name: ByteString, _ context: RuleContext) throws(Fault)
        -> [ByteString: UserRules]
    {
        var users: [ByteString: UserRules] = [:]
        var faults: [ByteString] = []
        let lines = bytes.split(separator: 10, omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let text = trimmed(line)
            if text.isEmpty { continue }
            let place: ByteString = "\(name):\(index + 1)"
            let words = text.words
            guard words.count >= 2, words[0] == "user" else {
                faults.append("\(place) should start with user keyword followed by the username.")
                continue
            }
            if words[1].holdsSpace {
                faults.append("'\(place): username '\(words[1])' contains invalid characters.")
                continue
            }
            if users[words[1]] != nil {
                faults.append("WARNING: Duplicate user '\(words[1])' found on line \(index + 1).")
                continue
            }
            var rules = UserRules(context)
            do throws(UnmatchedParenthesis) {
                let joined = try joinedSelectors(Array(words.dropFirst(2)))
                faults += Self.faults(of: joined, place, &rules, context)
            } catch {
                faults.append("\(place): Unmatched parenthesis in selector definition.")
            }
            users[words[1]] = rules
        }
        if faults.isEmpty { return users }
        faults.append("WARNING: ACL errors detected, no change to the previously active ACL rules was performed")
        throw Fault(text: faults.joined(separator: " "))
    }

    /// Applies the rules of a line. Names that are unknown are all told, of other faults the first.
    private static func faults(
        of joined: [ByteString], _ place: ByteString, _ rules: inout UserRules, _ context: RuleContext
    ) -> [ByteString] {
        var faults: [ByteString] = []
        var hasOther = false
        for rule in joined {
            do throws(RuleError) {
                try rules.apply(rule, context)
            } catch {
                // A name is no secret; other rules may be passwords.
                if error == .unknownName {
                    faults.append("\(place): Error in applying operation '\(rule)': \(error.text).")
                } else if !hasOther {
                    faults.append("\(place): \(error.text).")
                    hasOther = true
                }
            }
        }
        return faults
    }

    private static func trimmed(_ line: ArraySlice<UInt8>) -> ByteString {
        let isBlank = { (byte: UInt8) in byte == 32 || byte == 9 || byte == 13 }
        let start = line.drop(while: isBlank)
        return ByteString(
            start.prefix((start.lastIndex { !isBlank($0) } ?? start.startIndex - 1) + 1 - start.startIndex))
    }

    /// The bytes of the file that declares `users`.
    static func text(_ users: [User]) -> [UInt8] { users.flatMap { $0.fileLine.bytes + [10] } }
}
