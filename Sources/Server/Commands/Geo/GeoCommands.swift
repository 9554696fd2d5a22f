import Glibc
import Storage

// Invariant of this file: bytes answered are read before the buffer that they lie in is written to again.

/// Places, in sorted sets whose scores are geohashes: adding, and asking about members.
enum GeoCommands {
    static var table: [Command] {
        CommandGroup.geo.rows([
            .write(
                "geoadd", -5, .denyoom, [.key(.rwUpdate)], "3.2.0",
                """
                key [condition(NX|XX)@6.2.0] [CH=change@6.2.0] \
                longitude_latitude_member{longitude:d latitude:d member}...
                """, "Adds members with their positions.", geoadd
            ).complexity("O(M*log(N)) for M members").history(("6.2.0", "Accepts `NX`, `XX` and `CH`.")),
            .read(
                "geodist", -4, [], [.key(.roAccess)], "3.2.0", "key member1 member2 [unit(M|KM|FT|MI)]",
                "Returns the distance between two members.", geodist),
            .read(
                "geohash", -2, [], [.key(.roAccess)], "3.2.0", "key member...",
                "Returns the positions of members as geohash strings.", geohash
            ).complexity("O(1) for each member"),
            .read(
                "geopos", -2, [], [.key(.roAccess)], "3.2.0", "key member...",
                "Returns the longitudes and latitudes of members.", geopos
            ).complexity("O(1) for each member"),
        ])
    }

    // MARK: - GEOADD

    private static func geoadd(_ c: WriteContext) throws(CommandError) {
        var (onlyNew, onlyExisting, countChanged) = (false, false, false)
        var first = 2
        while first < c.args.count {
            if c.args[first].equals(ignoringCase: "nx") {
                onlyNew = true
            } else if c.args[first].equals(ignoringCase: "xx") {
                onlyExisting = true
            } else if c.args[first].equals(ignoringCase: "ch") {
                countChanged = true
            } else {
                break
            }
            first += 1
        }
        let rest = c.args.count - first
        guard rest % 3 == 0, !(onlyNew && onlyExisting) else { throw .syntax }
        var scores: [Double] = []
        scores.reserveCapacity(rest / 3)
        for i in stride(from: first, to: c.args.count, by: 3) {
            scores.append(Double(GeoCell(try c.args.point(i)).bits))
        }
        // ZADD's own complaint, as that is what Redis makes of the command.
        if scores.isEmpty { throw .syntax }
        guard let zset = try c.editZSet(c.args[1], create: !onlyExisting) else { return c.reply.integer(0) }
        var (added, updated) = (0, 0)
        for (i, score) in scores.enumerated() {
            let member = c.args[first + 3 * i + 2]
            if onlyNew || onlyExisting, (zset.view.score(member) != nil) == onlyNew { continue }
            switch zset.set(member, score) {
            case .added: added += 1
            case .updated: updated += 1
            case .unchanged: break
            }
        }
        if added + updated > 0 { c.changed(c.args[1], .zset, "zadd") }
        c.removeIfEmpty(zset.entry)
        c.reply.integer(countChanged ? added + updated : added)
    }

    // MARK: - Asking

    private static func geodist(_ c: ReadContext) throws(CommandError) {
        if c.args.count > 5 { throw .syntax }
        let unit = c.args.count == 5 ? try c.args.unit(4) : 1
        guard let zset = try c.zset(c.args[1]), let from = zset.score(c.args[2]), let to = zset.score(c.args[3]) else {
            return c.reply.null()
        }
        c.reply.distance(GeoCell(score: from).center.distance(to: GeoCell(score: to).center) / unit)
    }

    private static func geohash(_ c: ReadContext) throws(CommandError) {
        let zset = try c.zset(c.args[1])
        c.reply.array(c.args.count - 2)
        for i in 2..<max(2, c.args.count) {
            guard let score = zset?.score(c.args[i]) else {
                c.reply.null()
                continue
            }
            GeoCell.text(of: GeoCell(score: score).center).withUnsafeBytes {
                if let base = $0.baseAddress { c.reply.bulk(Bytes(base, $0.count)) }
            }
        }
    }

    private static func geopos(_ c: ReadContext) throws(CommandError) {
        let zset = try c.zset(c.args[1])
        c.reply.array(c.args.count - 2)
        let text = OutputBuffer(capacity: 64)
        for i in 2..<max(2, c.args.count) {
            if let score = zset?.score(c.args[i]) {
                c.reply.point(GeoCell(score: score).center, text)
            } else {
                c.reply.nullArray()
            }
        }
    }
}

// MARK: - Arguments and replies

extension Arguments {
    /// Longitude and latitude.
    func point(_ index: Int) throws(CommandError) -> GeoPoint {
        guard let longitude = Score.parse(self[index]), let latitude = Score.parse(self[index + 1]) else {
            throw .notFloat
        }
        let point = GeoPoint(longitude: longitude, latitude: latitude)
        guard point.isValid else {
            throw CommandError("ERR invalid longitude,latitude pair \(Self.text(longitude)),\(Self.text(latitude))")
        }
        return point
    }
    /// As printf's %f, for numbers of any size.
    private static func text(_ value: Double) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 400) { text in
            guard let base = text.baseAddress else { return "" }
            let length = withVaList([value]) { vsnprintf(base, 400, "%f", $0) }
            return Bytes(base, min(max(Int(length), 0), 399)).string
        }
    }

    /// A unit of length, in metres.
    func unit(_ index: Int) throws(CommandError) -> Double {
        if self[index].equals(ignoringCase: "m") { return 1 }
        if self[index].equals(ignoringCase: "km") { return 1000 }
        if self[index].equals(ignoringCase: "ft") { return 0.3048 }
        if self[index].equals(ignoringCase: "mi") { return 1609.34 }
        throw CommandError("ERR unsupported unit provided. please use M, KM, FT, MI")
    }
}

extension ReplyWriter {
    /// A length with four digits behind the point.
    func distance(_ value: Double) {
        // No distance on Earth comes near to where this could overflow; a unit is at least a foot.
        let scaled = Int64(exactly: (value * 10000).rounded(.toNearestOrEven)) ?? 0
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 1) { text in
            guard let base = text.baseAddress else { return }
            var length = decimalDigits(of: scaled / 10000, into: base)
            text[length] = UInt8(ascii: ".")
            var rest = scaled % 10000
            for i in stride(from: 4, through: 1, by: -1) {
                text[length + i] = UInt8(48 + rest % 10)
                rest /= 10
            }
            length += 5
            bulk(Bytes(base, length))
        }
    }

    /// Longitude and latitude; `text` is scratch.
    func point(_ point: GeoPoint, _ text: OutputBuffer) {
        array(2)
        for value in [point.longitude, point.latitude] {
            text.removeAll()
            LongDouble.append(LongDouble.Value(value), to: text)
            number(text.bytes)
        }
    }

    /// A number that is written already: RESP2 has it as a bulk string.
    private func number(_ text: Bytes) {
        guard resp3 else { return bulk(text) }
        output.append(byte: UInt8(ascii: ","))
        output.append(text)
        output.appendLineEnd()
    }
}
