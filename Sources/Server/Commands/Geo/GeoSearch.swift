import Storage

/// Places within an area: GEOSEARCH and the older GEORADIUS.
enum GeoSearch {
    private static let complexity: StaticString = "O(N+log(M)) for N members in the area's cells, of M in all"

    static var table: [Command] {
        CommandGroup.geo.rows([
            .read(
                "geosearch", -7, [], [.key(.roAccess)], "6.2.0",
                """
                key from(FROMMEMBER member|FROMLONLAT longitude_latitude{longitude:d latitude:d}) \
                by(circle{BYRADIUS radius:d unit(M|KM|FT|MI)}|box{BYBOX width:d height:d unit(M|KM|FT|\
                MI)}) [order(ASC|DESC)] [count{COUNT count:i [ANY]}] [WITHCOORD] [WITHDIST] [WITHHASH]
                """, "Finds the members within a circle or a box.", geosearch
            ).complexity(complexity).history(("7.0.0", "Accepts units in upper case.")),
            .write(
                "geosearchstore", -8, .denyoom, [.key(.owUpdate), .key(.roAccess, at: 2)], "6.2.0",
                """
                destination source \
                from(FROMMEMBER member|FROMLONLAT longitude_latitude{longitude:d latitude:d}) \
                by(circle{BYRADIUS radius:d unit(M|KM|FT|MI)}|box{BYBOX width:d height:d unit(M|KM|FT|\
                MI)}) [order(ASC|DESC)] [count{COUNT count:i [ANY]}] [STOREDIST]
                """, "Stores the members within a circle or a box.", geosearchstore
            ).complexity(complexity).history(("7.0.0", "Accepts units in upper case.")),
            .write(
                "georadius", -6, .denyoom,
                [.key(.roAccess), .after("STORE", from: 6, .owUpdate), .after("STOREDIST", from: 6, .owUpdate)],
                "3.2.0",
                """
                key longitude:d latitude:d radius:d unit(M|KM|FT|MI) [WITHCOORD] [WITHDIST] [WITHHASH] \
                [count{COUNT count:i [ANY@6.2.0]}] [order(ASC|DESC)] [STORE key] [STOREDIST key]
                """, "Finds, or stores, the members around a position.", georadius
            ).complexity(complexity).history(
                ("6.2.0", "Accepts `ANY` with `COUNT`."), ("7.0.0", "Accepts units in upper case.")
            ).deprecated("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with `BYRADIUS`"),
            .read(
                "georadius_ro", -6, [], [.key(.roAccess)], "3.2.10",
                """
                key longitude:d latitude:d radius:d unit(M|KM|FT|MI) [WITHCOORD] [WITHDIST] [WITHHASH] \
                [count{COUNT count:i [ANY@6.2.0]}] [order(ASC|DESC)]
                """, "Finds the members around a position.", georadiusReadOnly
            ).complexity(complexity).history(("6.2.0", "Accepts `ANY` with `COUNT`.")).deprecated(
                "6.2.0", "`GEOSEARCH` with `BYRADIUS`"),
            .write(
                "georadiusbymember", -5, .denyoom,
                [.key(.roAccess), .after("STORE", from: 5, .owUpdate), .after("STOREDIST", from: 5, .owUpdate)],
                "3.2.0",
                """
                key member radius:d unit(M|KM|FT|MI) [WITHCOORD] [WITHDIST] [WITHHASH] \
                [count{COUNT count:i [ANY]}] [order(ASC|DESC)] [STORE key] [STOREDIST key]
                """, "Finds, or stores, the members around another member.", georadiusbymember
            ).complexity(complexity).history(("7.0.0", "Accepts units in upper case.")).deprecated(
                "6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with `BYRADIUS` and `FROMMEMBER`"),
            .read(
                "georadiusbymember_ro", -5, [], [.key(.roAccess)], "3.2.10",
                """
                key member radius:d unit(M|KM|FT|MI) [WITHCOORD] [WITHDIST] [WITHHASH] \
                [count{COUNT count:i [ANY]}] [order(ASC|DESC)]
                """, "Finds the members around another member.", georadiusbymemberReadOnly
            ).complexity(complexity).deprecated("6.2.0", "`GEOSEARCH` with `BYRADIUS` and `FROMMEMBER`"),
        ])
    }

    private static func geosearch(_ c: ReadContext) throws(CommandError) {
        let zset = try c.zset(c.args[1])
        answer(try GeoRequest(c.args, .search, zset), zset, c.reply)
    }
    private static func georadiusReadOnly(_ c: ReadContext) throws(CommandError) {
        let zset = try c.zset(c.args[1])
        answer(try GeoRequest(c.args, .radius(stores: false), zset), zset, c.reply)
    }
    private static func georadiusbymemberReadOnly(_ c: ReadContext) throws(CommandError) {
        let zset = try c.zset(c.args[1])
        answer(try GeoRequest(c.args, .radiusByMember(stores: false), zset), zset, c.reply)
    }
    private static func geosearchstore(_ c: WriteContext) throws(CommandError) {
        try write(c, .searchStore, source: c.args[2])
    }
    private static func georadius(_ c: WriteContext) throws(CommandError) {
        try write(c, .radius(stores: true), source: c.args[1])
    }
    private static func georadiusbymember(_ c: WriteContext) throws(CommandError) {
        try write(c, .radiusByMember(stores: true), source: c.args[1])
    }

    private static func write(_ c: WriteContext, _ form: GeoRequest.Form, source: Bytes) throws(CommandError) {
        let zset = try c.reading.zsetOrRefuse(source)
        let request = try GeoRequest(c.args, form, zset)
        guard let target = request.target else { return answer(request, zset, c.reply) }
        let found = zset.flatMap { zset in request.shape.map { search(zset, request, $0) } }
        guard let found, found.count > 0 else {
            c.storeNothing(target)
            return c.reply.integer(0)
        }
        // The members were copied: the source may be what is replaced.
        let result = c.db.replaceWithNewZSet(target)
        found.forEach { member, place in result.set(member, request.storesDistance ? place.distance : place.score) }
        c.changed(target, .zset, request.isSearch ? "geosearchstore" : "georadiusstore")
        c.count(as: found.count)
        c.reply.integer(found.count)
    }

    private static func answer(_ request: GeoRequest, _ zset: ZSetView?, _ reply: ReplyWriter) {
        guard let zset, let shape = request.shape else { return reply.array(0) }
        let found = search(zset, request, shape)
        reply.array(found.count)
        let text = OutputBuffer(capacity: 64)
        found.forEach { member, place in
            if request.fields > 0 { reply.array(1 + request.fields) }
            reply.bulk(member)
            if request.withDistance { reply.distance(place.distance) }
            if request.withHash { reply.integer(Int64(exactly: place.score.rounded(.towardZero)) ?? 0) }
            if request.withPlace { reply.point(place.point, text) }
        }
    }

    // MARK: - Search

    private struct Place {
        let member: Int
        let point: GeoPoint
        let score: Double
        /// In the request's unit.
        let distance: Double
    }

    private struct Found {
        var members = MemberList()
        var places: [Place] = []

        var count: Int { places.count }
        func forEach(_ body: (Bytes, Place) -> Void) {
            for place in places { body(members[place.member], place) }
        }
    }

    /// Goes over the members in the area's cells, each a range of scores.
    private static func search(_ zset: ZSetView, _ request: GeoRequest, _ shape: GeoShape) -> Found {
        var found = Found()
        let enough = request.takesAny ? request.count : .max
        for cell in shape.cells where found.count < enough {
            let (from, to) = cell.scores
            let rank = zset.firstRank(score: from, after: false)
            zset.forEach(rank: rank, count: zset.count - rank, reverse: false) { member, score in
                guard score < to else { return false }
                let point = GeoCell(score: score).center
                guard let distance = shape.distance(to: point) else { return true }
                found.members.append(member)
                found.places.append(
                    Place(
                        member: found.members.count - 1, point: point, score: score, distance: distance / shape.unit))
                return found.count < enough
            }
        }
        if let descending = request.descending {
            // Few of many: what is beyond the last wanted is dropped now and then instead of sorted with the rest.
            if request.count < found.count / 4 { keepOutermost(&found.places, request.count, descending) }
            found.places.sort { isBefore($0, $1, descending) }
        }
        if found.count > request.count { found.places.removeLast(found.count - request.count) }
        return found
    }

    @inline(__always) private static func isBefore(_ a: Place, _ b: Place, _ descending: Bool) -> Bool {
        if a.distance != b.distance { return (a.distance < b.distance) != descending }
        return a.member < b.member
    }

    private static func keepOutermost(_ places: inout [Place], _ count: Int, _ descending: Bool) {
        var kept: [Place] = []
        // The last of the best so far: what comes behind it is of no interest.
        var last: Place?
        for place in places {
            if let last, !isBefore(place, last, descending) { continue }
            kept.append(place)
            if kept.count < 4 * count + 64 { continue }
            kept.sort { isBefore($0, $1, descending) }
            kept.removeLast(kept.count - count)
            last = kept.last
        }
        places = kept
    }
}
