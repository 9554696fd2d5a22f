import Storage

/// The arguments of GEOSEARCH, GEOSEARCHSTORE, GEORADIUS and GEORADIUSBYMEMBER.
struct GeoRequest {
    enum Form {
        case search, searchStore
        case radius(stores: Bool)
        case radiusByMember(stores: Bool)
    }

    /// nil where the key is missing that the centre is a member of.
    private(set) var shape: GeoShape?
    private(set) var withDistance = false
    private(set) var withHash = false
    private(set) var withPlace = false
    /// How many places are wanted.
    private(set) var count = Int.max
    /// The first that are found will do.
    private(set) var takesAny = false
    /// nil: in no order.
    private(set) var descending: Bool?
    private(set) var target: Bytes?
    private(set) var storesDistance = false
    /// GEOSEARCH or GEOSEARCHSTORE.
    let isSearch: Bool

    /// What is answered of a place besides the member.
    var fields: Int { (withDistance ? 1 : 0) + (withHash ? 1 : 0) + (withPlace ? 1 : 0) }

    init(_ args: Arguments, _ form: Form, _ zset: ZSetView?) throws(CommandError) {
        var area = Area()
        var i: Int
        var storesByOption = false
        switch form {
        case .radius(let stores):
            area.center = try args.point(2)
            try area.readRadius(args, 4)
            (i, isSearch, storesByOption) = (6, false, stores)
        case .radiusByMember(let stores):
            try area.readMember(args, 2, zset)
            // Without a member there is no area, and nobody looks at its size.
            if zset != nil { try area.readRadius(args, 3) }
            (i, isSearch, storesByOption) = (5, false, stores)
        case .search:
            (i, isSearch) = (2, true)
        case .searchStore:
            target = args[1]
            (i, isSearch) = (3, true)
        }
        let isStore = if case .searchStore = form { true } else { false }
        while i < args.count {
            let left = args.count - i - 1
            let word = args[i]
            if word.equals(ignoringCase: "withdist") {
                withDistance = true
            } else if word.equals(ignoringCase: "withhash") {
                withHash = true
            } else if word.equals(ignoringCase: "withcoord") {
                withPlace = true
            } else if word.equals(ignoringCase: "any") {
                takesAny = true
            } else if word.equals(ignoringCase: "asc") {
                descending = false
            } else if word.equals(ignoringCase: "desc") {
                descending = true
            } else if word.equals(ignoringCase: "count"), left >= 1 {
                let wanted = try args.integer(i + 1)
                if wanted <= 0 { throw CommandError("ERR COUNT must be > 0") }
                count = Int(wanted)
                i += 1
            } else if storesByOption, left >= 1, word.equals(ignoringCase: "store") {
                target = args[i + 1]
                storesDistance = false
                i += 1
            } else if storesByOption, left >= 1, word.equals(ignoringCase: "storedist") {
                target = args[i + 1]
                storesDistance = true
                i += 1
            } else if isStore, word.equals(ignoringCase: "storedist") {
                storesDistance = true
            } else if isSearch, let taken = try area.readOption(args, i, left, zset) {
                i += taken
            } else {
                throw .syntax
            }
            i += 1
        }
        try check(args, area)
        // The closest, not just some, unless the request says so.
        if count != .max, descending == nil, !takesAny { descending = false }
        shape = area.shape
    }

    private func check(_ args: Arguments, _ area: Area) throws(CommandError) {
        if target != nil, fields > 0 {
            throw CommandError(
                "ERR \(isSearch ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS") is not compatible with WITHDIST, "
                    + "WITHHASH and WITHCOORD options")
        }
        if isSearch, !area.hasCenter {
            throw CommandError(
                parts: Bytes("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for "), args[0])
        }
        if isSearch, area.extent == nil {
            throw CommandError(
                parts: Bytes("ERR exactly one of BYRADIUS and BYBOX can be specified for "), args[0])
        }
        if takesAny, count == .max { throw CommandError("ERR the ANY argument requires COUNT argument") }
    }

    /// Centre and extent, as they come in.
    private struct Area {
        var center: GeoPoint?
        var isFromMember = false
        var extent: GeoShape.Extent?
        var unit = 1.0

        var hasCenter: Bool { center != nil || isFromMember }
        var shape: GeoShape? {
            guard let center, let extent else { return nil }
            return GeoShape(center: center, extent: extent, unit: unit)
        }

        mutating func readMember(_ args: Arguments, _ index: Int, _ zset: ZSetView?) throws(CommandError) {
            isFromMember = true
            guard let zset else { return }
            guard let score = zset.score(args[index]) else {
                throw CommandError("ERR could not decode requested zset member")
            }
            center = GeoCell(score: score).center
        }

        mutating func readRadius(_ args: Arguments, _ index: Int) throws(CommandError) {
            guard let radius = Score.parse(args[index]) else { throw CommandError("ERR need numeric radius") }
            if radius < 0 { throw CommandError("ERR radius cannot be negative") }
            unit = try args.unit(index + 1)
            extent = .radius(radius)
        }

        private mutating func readBox(_ args: Arguments, _ index: Int) throws(CommandError) {
            guard let width = Score.parse(args[index]) else { throw CommandError("ERR need numeric width") }
            guard let height = Score.parse(args[index + 1]) else { throw CommandError("ERR need numeric height") }
            if width < 0 || height < 0 { throw CommandError("ERR height or width cannot be negative") }
            unit = try args.unit(index + 2)
            extent = .box(width: width, height: height)
        }

        /// The number of arguments that belong to the option at `index`; nil when it is none of GEOSEARCH's own, or one
        /// too many.
        mutating func readOption(
            _ args: Arguments, _ index: Int, _ left: Int, _ zset: ZSetView?
        ) throws(CommandError) -> Int? {
            if args[index].equals(ignoringCase: "frommember"), left >= 1, center == nil || isFromMember {
                try readMember(args, index + 1, zset)
                return 1
            }
            if args[index].equals(ignoringCase: "fromlonlat"), left >= 2, !isFromMember {
                center = try args.point(index + 1)
                return 2
            }
            var isBox = false
            if case .box = extent { isBox = true }
            if args[index].equals(ignoringCase: "byradius"), left >= 2, !isBox {
                try readRadius(args, index + 1)
                return 2
            }
            if args[index].equals(ignoringCase: "bybox"), left >= 3, extent == nil || isBox {
                try readBox(args, index + 1)
                return 3
            }
            return nil
        }
    }
}
