import Glibc
import Storage

/// Statistics as one HTML page with charts, which needs nothing from elsewhere: styles and drawings stand in it, and there is
/// no script.
struct StatisticsPage {
    let report: StatisticsReport
    /// Seconds since 1970, UTC.
    let madeAt: Int64

    var html: String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        <title>\(escaped(report.file))</title>
        <style>\(StatisticsPage.style)</style>
        </head>
        <body>
        <header>
        <h1>\(escaped(report.file))</h1>
        <p>\(escaped(report.form)), read at \(utcTime(madeAt)) UTC</p>
        </header>
        <main>
        <dl class="tiles">
        \(tiles)
        </dl>
        \(report.sections.map(section).joined(separator: "\n"))
        </main>
        <footer>\(note)Made by redis-migrate stats. Bytes are those of names and values, not of a server's memory.</footer>
        </body>
        </html>

        """
    }

    private var note: String {
        report.hasExactPrefixes
            ? "" : "There are more prefixes than are counted at a time: some have more than is said here. "
    }

    private var tiles: String {
        var tiles = [
            ("keys", "keys", report.all.keys, grouped(report.all.keys)),
            ("elements", "elements of collections", report.all.elements, grouped(report.all.elements)),
            ("bytes", "of names and values", report.all.bytes, sized(report.all.bytes)),
            ("expiring", "keys that expire", report.all.expiring, grouped(report.all.expiring)),
        ]
        if report.functions > 0 {
            tiles.append(("functions", "libraries of functions", report.functions, grouped(report.functions)))
        }
        if report.expired > 0 {
            tiles.append(("expired", "expired keys, left out", report.expired, grouped(report.expired)))
        }
        return tiles.map { id, title, value, text in
            "<div><dt>\(title)</dt><dd data-total=\"\(id)\" data-value=\"\(value)\">\(text)</dd></div>"
        }.joined(separator: "\n")
    }

    private func section(_ section: StatisticsReport.Section) -> String {
        guard section.rows.contains(where: { $0.tally.keys > 0 }) else { return "" }
        let isLengths = section.id == "longest"
        let isTimes = section.id == "ttl"
        let measure: (Statistics.Tally) -> Int = isLengths ? { $0.elements } : isTimes ? { $0.keys } : { $0.bytes }
        let what = isLengths ? "elements" : isTimes ? "keys" : "bytes"
        let bars = section.rows.map { row in
            let value = measure(row.tally)
            return (row.label, value, what == "bytes" ? sized(value) : grouped(value))
        }
        return """
            <section id="\(section.id)">
            <h2>\(section.title) <small>\(what)</small></h2>
            \(chart(bars, "\(section.title), \(what)"))
            \(table(section))
            </section>
            """
    }

    // MARK: - A chart

    private static let barHeight = 26
    private static let labelWidth = 230
    private static let plotWidth = 400
    private static let valueWidth = 110
    /// Of a label, in characters.
    private static let labelLimit = 30

    /// Horizontal bars from 0, a row each.
    private func chart(_ bars: [(label: String, value: Int, text: String)], _ title: String) -> String {
        let largest = max(bars.map(\.value).max() ?? 0, 1)
        let width = StatisticsPage.labelWidth + StatisticsPage.plotWidth + StatisticsPage.valueWidth
        let height = bars.count * StatisticsPage.barHeight
        var lines = [
            "<div class=\"scroll\"><svg viewBox=\"0 0 \(width) \(height)\" role=\"img\" aria-label=\"\(escaped(title))\">"
        ]
        for (i, bar) in bars.enumerated() {
            let top = i * StatisticsPage.barHeight
            let length = Double(bar.value) / Double(largest) * Double(StatisticsPage.plotWidth)
            let left = StatisticsPage.labelWidth
            let end = fixedPoint(Double(left) + length + 8, 1)
            lines.append(
                """
                <g><title>\(escaped(bar.label)): \(bar.text)</title>\
                <text class="label" x="\(left - 10)" y="\(top + 17)">\(escaped(shortened(bar.label)))</text>\
                <rect x="\(left)" y="\(top + 4)" width="\(fixedPoint(length, 1))" height="18" rx="2"/>\
                <text x="\(end)" y="\(top + 17)">\(bar.text)</text></g>
                """)
        }
        return lines.joined(separator: "\n") + "\n</svg></div>"
    }

    /// Without its middle where it is long: names that share a beginning differ at their end.
    private func shortened(_ label: String) -> String {
        if label.count <= StatisticsPage.labelLimit { return label }
        let half = (StatisticsPage.labelLimit - 1) / 2
        return label.prefix(half) + "…" + label.suffix(half)
    }

    // MARK: - A table

    private func table(_ section: StatisticsReport.Section) -> String {
        let isKey = section.subject == "key"
        let columns =
            isKey
            ? ["key", "db", "type", "elements", "bytes", "expires (UTC)"]
            : [section.subject, "keys", "elements", "bytes", "expiring"]
        let head = columns.map { "<th>\($0)</th>" }.joined()
        let rows = section.rows.map { row in
            let tally = row.tally
            let cells =
                isKey
                ? [
                    "\(row.database ?? 0)", row.type ?? "", grouped(tally.elements), grouped(tally.bytes),
                    row.expiresMs.map { utcTime($0 / 1000) } ?? "",
                ] : [grouped(tally.keys), grouped(tally.elements), grouped(tally.bytes), grouped(tally.expiring)]
            return """
                <tr data-keys="\(tally.keys)" data-elements="\(tally.elements)" data-bytes="\(tally.bytes)" \
                data-expiring="\(tally.expiring)"><th scope="row">\(escaped(row.label))</th>\
                \(cells.map { "<td>\($0)</td>" }.joined())</tr>
                """
        }
        return """
            <details><summary>Table</summary><div class="scroll"><table>
            <thead><tr>\(head)</tr></thead>
            <tbody>
            \(rows.joined(separator: "\n"))
            </tbody></table></div></details>
            """
    }

    private func escaped(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    private static let style = """
        :root{color-scheme:light dark;--text:#1c2126;--dim:#5c6670;--ground:#fff;--panel:#f4f6f8;--line:#dde2e7;--bar:#2f6fb3}
        @media(prefers-color-scheme:dark){:root{--text:#e4e8ec;--dim:#9aa5b0;--ground:#14181c;--panel:#1d2329;--line:#333b43;\
        --bar:#5b9bdc}}
        *{box-sizing:border-box}
        body{margin:0 auto;max-width:880px;padding:24px 20px 48px;font:15px/1.5 system-ui,sans-serif;color:var(--text);\
        background:var(--ground)}
        h1{font-size:24px;margin:0;overflow-wrap:anywhere}h2{font-size:18px;margin:0 0 12px}h2 small{font-size:13px;font-weight:400;color:var(--dim)}
        header p,footer{color:var(--dim);margin:2px 0 20px}footer{margin-top:32px;font-size:13px}
        .tiles{display:flex;flex-wrap:wrap;gap:12px;margin:0 0 28px}
        .tiles div{flex:1 1 150px;background:var(--panel);border-radius:8px;padding:12px 16px;display:flex;\
        flex-direction:column-reverse}
        dt{color:var(--dim);font-size:13px}dd{margin:0;font-size:24px;font-variant-numeric:tabular-nums}
        section{border-top:1px solid var(--line);padding:20px 0}
        svg{width:100%;min-width:560px;height:auto;display:block}
        svg text{font:13px system-ui,sans-serif;fill:var(--text)}svg text.label{text-anchor:end}svg rect{fill:var(--bar)}
        details{margin-top:10px}summary{cursor:pointer;color:var(--dim);font-size:13px}
        .scroll{overflow-x:auto}
        table{border-collapse:collapse;margin-top:8px;width:100%;font-variant-numeric:tabular-nums}
        th,td{padding:4px 10px;text-align:right;border-bottom:1px solid var(--line);font-weight:400}
        th:first-child{text-align:left;overflow-wrap:anywhere}thead th{color:var(--dim);font-size:13px}
        """
}

/// As 2026-11-27 13:45:00, of seconds since 1970, UTC.
func utcTime(_ seconds: Int64) -> String {
    var seconds = Int(seconds)
    var parts = tm()
    guard gmtime_r(&seconds, &parts) != nil else { return "\(seconds) s" }
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(Int(parts.tm_year) + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) "
        + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
}
