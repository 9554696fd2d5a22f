import Storage

/// Statistics as sections of rows, of which each form of output is a rendering, so that all say the same.
struct StatisticsReport {
    struct Row {
        let label: String
        /// The bytes that `label` shows, where those are data.
        var name: [UInt8]?
        let tally: Statistics.Tally
        var database: Int?
        var type: String?
        /// Milliseconds since 1970.
        var expiresMs: Int64?
    }
    struct Section {
        /// As in JSON and CSV.
        let id: String
        let title: String
        /// What a label is, in JSON and as a column's title.
        let subject: String
        var rows: [Row]
    }

    let file: String
    let form: String
    let expired: Int
    let functions: Int
    let all: Statistics.Tally
    let hasExactPrefixes: Bool
    let sections: [Section]

    init(_ found: Statistics, file: String, form: String, expired: Int) {
        self.file = file
        self.form = form
        self.expired = expired
        functions = found.functions
        all = found.all
        hasExactPrefixes = found.hasExactPrefixes
        func text(_ name: StaticString) -> String { Bytes(name).string }
        func key(_ key: Statistics.NamedKey) -> Row {
            Row(
                label: readable(key.name), name: key.name, tally: key.tally, database: Int(key.database),
                type: text(key.type.name), expiresMs: key.expiresMs)
        }
        var prefixes = found.prefixes.map { Row(label: readable($0.name), name: $0.name, tally: $0.tally) }
        for (label, tally) in [("(other prefixes)", found.otherPrefixes), ("(no prefix)", found.withoutPrefix)]
        where tally.keys > 0 { prefixes.append(Row(label: label, tally: tally)) }
        sections = [
            Section(
                id: "types", title: "Types", subject: "type",
                rows: found.types.filter { $0.1.keys > 0 }.map { Row(label: text($0.0.name), tally: $0.1) }),
            Section(
                id: "databases", title: "Databases", subject: "db",
                rows: found.databases.map { Row(label: "\($0.database)", tally: $0.tally) }),
            Section(
                id: "ttl", title: "Time left, of keys that expire", subject: "left",
                rows: StatisticsReport.rows(found.timesLeft, StatisticsReport.duration)),
            Section(
                id: "sizes", title: "Sizes of keys", subject: "size",
                rows: StatisticsReport.rows(found.sizes, StatisticsReport.binarySize)),
            Section(id: "prefixes", title: "Prefixes", subject: "prefix", rows: prefixes),
            Section(id: "biggest", title: "Biggest keys", subject: "key", rows: found.biggest.map(key)),
            Section(id: "longest", title: "Keys with most elements", subject: "key", rows: found.longest.map(key)),
        ]
    }

    private static func rows(_ classes: [Statistics.Class], _ unit: (Int64) -> String) -> [Row] {
        var last: Int64 = 0
        return classes.map { one in
            let label = one.limit.map { "up to " + unit($0) } ?? "more than " + unit(last)
            last = one.limit ?? last
            return Row(label: label, tally: one.tally)
        }
    }
    private static func duration(_ milliseconds: Int64) -> String {
        let (minutes, hours, days) = (milliseconds / 60_000, milliseconds / 3_600_000, milliseconds / 86_400_000)
        if days > 0 { return days == 1 ? "1 day" : "\(days) days" }
        if hours > 0 { return hours == 1 ? "1 hour" : "\(hours) hours" }
        return minutes == 1 ? "1 minute" : "\(minutes) minutes"
    }
    private static func binarySize(_ bytes: Int64) -> String {
        if bytes >= 1 << 20 { return "\(bytes >> 20) MiB" }
        return bytes >= 1 << 10 ? "\(bytes >> 10) KiB" : "\(bytes) B"
    }
}

// MARK: - Text, CSV and JSON

extension StatisticsReport {
    /// For a terminal.
    var table: String {
        var lines = ["\(file): \(form)", ""]
        lines.append(
            "\(grouped(all.keys)) keys, \(grouped(all.elements)) elements of collections, \(sized(all.bytes)) of names and "
                + "values, \(grouped(all.expiring)) keys that expire")
        if functions > 0 { lines.append("libraries of functions: \(functions)") }
        if expired > 0 { lines.append("left out: \(expired) expired keys (--keep-expired keeps them)") }
        for section in sections where section.rows.contains(where: { $0.tally.keys > 0 }) {
            lines += ["", section.title]
            lines += StatisticsReport.aligned(section)
        }
        if !hasExactPrefixes {
            lines += ["", "There are more prefixes than are counted at a time: some have more than is said here."]
        }
        return lines.joined(separator: "\n")
    }

    private static let labelWidth = 48

    private static func aligned(_ section: Section) -> [String] {
        let isKey = section.subject == "key"
        var rows = [[section.subject, "keys", "elements", "bytes", "expiring"]]
        if isKey { rows = [[section.subject, "db", "type", "elements", "bytes"]] }
        for row in section.rows where row.tally.keys > 0 {
            let label = row.label.count > labelWidth ? row.label.prefix(labelWidth - 1) + "…" : row.label
            let tally = row.tally
            if isKey {
                rows.append([
                    label, "\(row.database ?? 0)", row.type ?? "", grouped(tally.elements), sized(tally.bytes),
                ])
            } else {
                rows.append([
                    label, grouped(tally.keys), grouped(tally.elements), sized(tally.bytes), grouped(tally.expiring),
                ])
            }
        }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, text in
                let space = String(repeating: " ", count: widths[column] - text.count)
                return column == 0 ? "  " + text + space : space + text
            }.joined(separator: "  ")
        }
    }

    /// A row for each number of keys, as RFC 4180 has it, but for line ends.
    var csv: String {
        var lines = ["section,name,db,type,keys,elements,bytes,expiring,expires_ms"]
        func add(_ section: String, _ row: Row) {
            lines.append(
                [
                    section, StatisticsReport.quotedCSV(row.label), row.database.map { "\($0)" } ?? "", row.type ?? "",
                    "\(row.tally.keys)", "\(row.tally.elements)", "\(row.tally.bytes)", "\(row.tally.expiring)",
                    row.expiresMs.map { "\($0)" } ?? "",
                ].joined(separator: ","))
        }
        add("all", Row(label: "", tally: all))
        for section in sections { for row in section.rows { add(section.id, row) } }
        return lines.joined(separator: "\n")
    }

    private static func quotedCSV(_ text: String) -> String {
        if !text.contains(where: { ",\"\n\r".contains($0) }) { return text }
        return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    /// One object.
    func json() throws(StorageError) -> String {
        var out = JSONDocument()
        try out.object { (out) throws(StorageError) in
            out.member("file", file)
            out.member("format", form)
            StatisticsReport.add(all, to: &out)
            out.member("expired_left_out", expired)
            out.member("functions", functions)
            out.name("prefixes_exact")
            out.value(hasExactPrefixes)
            for section in sections {
                out.name(section.id)
                try out.array { (out) throws(StorageError) in
                    for row in section.rows { try StatisticsReport.add(row, section.subject, to: &out) }
                }
            }
        }
        return out.text
    }

    private static func add(_ tally: Statistics.Tally, to out: inout JSONDocument) {
        out.member("keys", tally.keys)
        out.member("elements", tally.elements)
        out.member("bytes", tally.bytes)
        out.member("expiring", tally.expiring)
    }
    private static func add(
        _ row: Row, _ subject: String, to out: inout JSONDocument
    ) throws(StorageError) {
        try out.object { (out) throws(StorageError) in
            if let database = row.database { out.member("db", database) }
            if let name = row.name { out.member(subject, name) } else { out.member(subject, row.label) }
            if let type = row.type { out.member("type", type) }
            add(row.tally, to: &out)
            if let expiry = row.expiresMs { out.member("expires_ms", Int(expiry)) }
        }
    }
}
