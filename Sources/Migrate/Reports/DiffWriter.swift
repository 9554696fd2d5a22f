import Storage

/// Writes the differences of two files to standard output, for people or as JSON.
struct DiffWriter {
    let isJSON: Bool
    /// How many parts of a key are written.
    let elements: Int

    func write(_ key: ChangedKey) throws(StorageError) {
        if isJSON { try writeJSON(key) } else { try writeText(key) }
    }

    // MARK: - Text

    private func writeText(_ key: ChangedKey) throws(StorageError) {
        let place = key.database == 0 ? "" : " in db \(key.database)"
        let sides = (key.old, key.new)
        switch sides {
        case (let old?, nil): print("- \(named(key, old))\(place) (\(size(old)))")
        case (nil, let new?): print("+ \(named(key, new))\(place) (\(size(new)))")
        case (let old?, let new?):
            var notes: [String] = []
            if old.type != new.type { notes.append("type \(text(old.type.name)) -> \(text(new.type.name))") }
            if old.size != new.size { notes.append("\(size(old)) -> \(size(new))") }
            if old.expiresMs != new.expiresMs { notes.append("expires \(time(old)) -> \(time(new))") }
            print("~ \(named(key, new))\(place)\(notes.isEmpty ? "" : ": " + notes.joined(separator: ", "))")
            try writeParts(key)
        case (nil, nil): break
        }
    }

    private func writeParts(_ key: ChangedKey) throws(StorageError) {
        var count = 0
        try key.forEachPart { (part) throws(StorageError) in
            count += 1
            if count <= elements { print("    " + line(part)) }
            return true
        }
        if count > elements { print("    … and \(grouped(count - elements)) more") }
    }

    private func line(_ part: ChangedPart) -> String {
        let name =
            switch part.kind {
            case .value: "value"
            case .item, .entry, .state: text(part.kind.name) + " " + String(decoding: part.name, as: UTF8.self)
            case .field, .fieldExpiry, .member, .score, .group, .consumer, .pending:
                text(part.kind.name) + " " + quoted(part.name)
            }
        func value(_ bytes: [UInt8]) -> String {
            switch part.kind {
            case .value, .field, .item: quoted(bytes)
            case .fieldExpiry:
                Int64(String(decoding: bytes, as: UTF8.self)).map { utcTime($0 / 1000) + " UTC" } ?? quoted(bytes)
            case .score, .entry, .state, .group, .consumer, .pending, .member: String(decoding: bytes, as: UTF8.self)
            }
        }
        if part.kind == .member { return (part.old == nil ? "+ " : "- ") + name }
        switch (part.old, part.new) {
        case (let old?, nil): return "- \(name): \(value(old))"
        case (nil, let new?): return "+ \(name): \(value(new))"
        case (let old?, let new?): return "~ \(name): \(value(old)) -> \(value(new))"
        case (nil, nil): return name
        }
    }

    private func text(_ name: StaticString) -> String { Bytes(name).string }
    private func quoted(_ bytes: [UInt8]) -> String { bytes.lend { $0.quoted } }
    private func named(_ key: ChangedKey, _ side: ChangedKey.Side) -> String {
        "\(text(side.type.name)) \(quoted(key.name))"
    }
    private func size(_ side: ChangedKey.Side) -> String {
        let unit = side.type == .string ? "byte" : "element"
        return "\(grouped(side.size)) \(unit)\(side.size == 1 ? "" : "s")"
    }
    private func time(_ side: ChangedKey.Side) -> String {
        side.expiresMs.map { milliseconds in
            let rest = "\(1000 + (milliseconds % 1000 + 1000) % 1000)".dropFirst()
            return utcTime(milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000) + ".\(rest) UTC"
        } ?? "never"
    }

    // MARK: - JSON

    private func writeJSON(_ key: ChangedKey) throws(StorageError) {
        var out = JSONDocument()
        try out.object { (out) throws(StorageError) in
            out.member("change", key.old == nil ? "added" : key.new == nil ? "removed" : "changed")
            out.member("db", Int(key.database))
            out.member("key", key.name)
            for (name, side) in [("old", key.old), ("new", key.new)] {
                guard let side else { continue }
                out.name(name)
                try out.object { (out) throws(StorageError) in
                    out.member("type", text(side.type.name))
                    out.member("size", side.size)
                    if let expiry = side.expiresMs { out.member("expires_ms", Int(expiry)) }
                }
            }
            if key.hasParts { try addParts(of: key, to: &out) }
        }
        print(out.text)
    }

    private func addParts(of key: ChangedKey, to out: inout JSONDocument) throws(StorageError) {
        var count = 0
        out.name("parts")
        try out.array { (out) throws(StorageError) in
            try key.forEachPart { (part) throws(StorageError) in
                count += 1
                if count <= elements { try add(part, to: &out) }
                return true
            }
        }
        out.member("different", count)
    }

    private func add(_ part: ChangedPart, to out: inout JSONDocument) throws(StorageError) {
        try out.object { (out) throws(StorageError) in
            out.member("kind", text(part.kind.name))
            out.member("name", part.name)
            if let old = part.old { out.member("old", old) }
            if let new = part.new { out.member("new", new) }
        }
    }

    // MARK: - The summary

    func write(_ found: KeyComparison.Summary, old: String, new: String) throws(StorageError) {
        if isJSON { return try writeJSON(found, old, new) }
        for (sign, names) in [
            ("-", found.functionsRemoved), ("+", found.functionsAdded), ("~", found.functionsChanged),
        ] { for name in names { print("\(sign) library of functions \(quoted(name))") } }
        let all = found.all
        for (type, count) in found.types where count.added + count.removed + count.changed > 0 {
            print(
                "\(text(type.name)): \(grouped(count.removed)) removed, \(grouped(count.added)) added, "
                    + "\(grouped(count.changed)) changed")
        }
        print(
            "\(found.isEqual ? "equal" : "different"): \(grouped(found.equal)) keys equal, \(grouped(all.removed)) removed, "
                + "\(grouped(all.added)) added, \(grouped(all.changed)) changed")
    }

    private func writeJSON(_ found: KeyComparison.Summary, _ old: String, _ new: String) throws(StorageError) {
        var out = JSONDocument()
        func add(_ count: KeyComparison.Count, to out: inout JSONDocument) {
            out.member("removed", count.removed)
            out.member("added", count.added)
            out.member("changed", count.changed)
        }
        try out.object { (out) throws(StorageError) in
            out.name("summary")
            try out.object { (out) throws(StorageError) in
                out.member("old", old)
                out.member("new", new)
                out.name("equal")
                out.value(found.isEqual)
                out.member("keys_equal", found.equal)
                add(found.all, to: &out)
                out.name("types")
                try out.array { (out) throws(StorageError) in
                    for (type, count) in found.types where count.added + count.removed + count.changed > 0 {
                        try out.object { (out) throws(StorageError) in
                            out.member("type", text(type.name))
                            add(count, to: &out)
                        }
                    }
                }
                for (name, libraries) in [
                    ("functions_removed", found.functionsRemoved), ("functions_added", found.functionsAdded),
                    ("functions_changed", found.functionsChanged),
                ] {
                    out.name(name)
                    try out.array { (out) throws(StorageError) in for library in libraries { out.value(library) } }
                }
            }
        }
        print(out.text)
    }
}
