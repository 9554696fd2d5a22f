import Glibc

/// A place on the sphere, in degrees.
struct GeoPoint {
    var longitude: Double
    var latitude: Double

    /// Web Mercator's limits, within which the cells are about square.
    static let longitudes = -180.0...180.0
    static let latitudes = -85.05112878...85.05112878

    /// In metres, as Redis has it.
    static let earthRadius = 6372797.560856
    static func radians(_ degrees: Double) -> Double { degrees * (.pi / 180) }
    static func degrees(_ radians: Double) -> Double { radians / (.pi / 180) }

    var isValid: Bool { Self.longitudes.contains(longitude) && Self.latitudes.contains(latitude) }

    /// Metres along the great circle, by the haversine formula.
    func distance(to other: GeoPoint) -> Double {
        let v = sin((Self.radians(other.longitude) - Self.radians(longitude)) / 2)
        // On one meridian the formula would lose digits.
        if v == 0 { return Self.latitudeDistance(latitude, other.latitude) }
        let (from, to) = (Self.radians(latitude), Self.radians(other.latitude))
        let u = sin((to - from) / 2)
        return 2 * Self.earthRadius * asin((u * u + cos(from) * cos(to) * v * v).squareRoot())
    }
    static func latitudeDistance(_ a: Double, _ b: Double) -> Double {
        earthRadius * abs(radians(b) - radians(a))
    }
}

/// A cell of the geohash grid: `step` bits of each coordinate, interleaved, longitude's highest first (Morton, "A
/// computer oriented geodetic data base", 1966; Niemeyer's geohash, 2008). 26 steps make the 52 bits that a double
/// holds exactly, so that a sorted set's scores can be cells, and a larger cell is a range of scores.
struct GeoCell: Equatable {
    static let maximumStep = 26

    /// Number of the column and the row, from -180° and from the south.
    let column: UInt32
    let row: UInt32
    let step: Int

    init(column: UInt32, row: UInt32, step: Int) {
        self.column = column
        self.row = row
        self.step = step
    }

    /// The cell around `point`, which is valid.
    init(
        _ point: GeoPoint, step: Int = maximumStep, latitudes: ClosedRange<Double> = GeoPoint.latitudes
    ) {
        column = Self.index(point.longitude, GeoPoint.longitudes, step)
        row = Self.index(point.latitude, latitudes, step)
        self.step = step
    }
    private static func index(_ value: Double, _ range: ClosedRange<Double>, _ step: Int) -> UInt32 {
        let part = (value - range.lowerBound) / (range.upperBound - range.lowerBound)
        return UInt32(exactly: (part * Double(1 << step)).rounded(.down)) ?? 0
    }

    /// The cell of 26 steps that a member's score is. Other scores, which ZADD can make, become the cell that they become
    /// in Redis: C's conversion of a double to an unsigned number, as x86-64 does it.
    init(score: Double) {
        func signed(_ value: Double) -> UInt64 {
            UInt64(bitPattern: Int64(exactly: value.rounded(.towardZero)) ?? .min)
        }
        let half = 0x1p63
        let bits = score < half ? signed(score) : signed(score - half) ^ 1 << 63
        column = Self.compact(bits >> 1)
        row = Self.compact(bits)
        step = Self.maximumStep
    }

    /// The interleaved bits.
    var bits: UInt64 { Self.spread(row) | Self.spread(column) << 1 }

    /// Puts a zero before each bit.
    private static func spread(_ value: UInt32) -> UInt64 {
        var x = UInt64(value)
        x = (x | x << 16) & 0x0000_ffff_0000_ffff
        x = (x | x << 8) & 0x00ff_00ff_00ff_00ff
        x = (x | x << 4) & 0x0f0f_0f0f_0f0f_0f0f
        x = (x | x << 2) & 0x3333_3333_3333_3333
        return (x | x << 1) & 0x5555_5555_5555_5555
    }
    /// Every second bit.
    private static func compact(_ value: UInt64) -> UInt32 {
        var x = value & 0x5555_5555_5555_5555
        x = (x | x >> 1) & 0x3333_3333_3333_3333
        x = (x | x >> 2) & 0x0f0f_0f0f_0f0f_0f0f
        x = (x | x >> 4) & 0x00ff_00ff_00ff_00ff
        x = (x | x >> 8) & 0x0000_ffff_0000_ffff
        return UInt32(truncatingIfNeeded: x | x >> 16)
    }

    // MARK: Extent

    var longitudes: (min: Double, max: Double) { extent(column, GeoPoint.longitudes) }
    var latitudes: (min: Double, max: Double) { extent(row, GeoPoint.latitudes) }
    @inline(__always) private func extent(_ index: UInt32, _ range: ClosedRange<Double>) -> (min: Double, max: Double) {
        let scale = range.upperBound - range.lowerBound
        let cells = Double(1 << step)
        return (
            range.lowerBound + (Double(index) / cells) * scale,
            range.lowerBound + ((Double(index) + 1) / cells) * scale
        )
    }

    /// The middle.
    var center: GeoPoint {
        let (x, y) = (longitudes, latitudes)
        return GeoPoint(
            longitude: min(max((x.min + x.max) / 2, GeoPoint.longitudes.lowerBound), GeoPoint.longitudes.upperBound),
            latitude: min(max((y.min + y.max) / 2, GeoPoint.latitudes.lowerBound), GeoPoint.latitudes.upperBound))
    }

    /// The scores of the points within: from the first to before the second.
    var scores: (from: Double, to: Double) {
        let shift = UInt64(2 * (Self.maximumStep - step))
        return (Double(bits << shift), Double((bits + 1) << shift))
    }

    /// The cell so many columns and rows away, around the world. A place at 180° is in a column of its own behind the
    /// last one, which is left only by a move.
    func moved(_ columns: Int32, _ rows: Int32) -> GeoCell {
        let mask = UInt32(1) << UInt32(step) &- 1
        return GeoCell(
            column: columns == 0 ? column : (column &+ UInt32(bitPattern: columns)) & mask,
            row: rows == 0 ? row : (row &+ UInt32(bitPattern: rows)) & mask, step: step)
    }

    /// The text of 11 letters by which geohash.org and others know the cell; their rows go from pole to pole, and the
    /// last letter has no bits left and is 0.
    static func text(of point: GeoPoint) -> [UInt8] {
        let bits = GeoCell(point, latitudes: -90...90).bits
        let letters: StaticString = "0123456789bcdefghjkmnpqrstuvwxyz"
        return (0..<11).map { i in letters.utf8Start[i == 10 ? 0 : Int(bits >> UInt64(47 - 5 * i)) & 31] }
    }
}

/// The area of a search around a point.
struct GeoShape {
    enum Extent {
        /// In the unit.
        case radius(Double)
        case box(width: Double, height: Double)
    }
    let center: GeoPoint
    let extent: Extent
    /// Metres of the unit in which lengths are given and answered.
    let unit: Double

    /// What lies around in each direction, in metres.
    private let halfWidth: Double
    private let halfHeight: Double

    init(center: GeoPoint, extent: Extent, unit: Double) {
        self.center = center
        self.extent = extent
        self.unit = unit
        switch extent {
        case .radius(let radius):
            halfWidth = radius * unit
            halfHeight = radius * unit
        case .box(let width, let height):
            halfWidth = width * unit / 2
            halfHeight = height * unit / 2
        }
    }

    /// Metres from the centre; nil when `point` lies outside.
    func distance(to point: GeoPoint) -> Double? {
        switch extent {
        case .radius:
            // Most candidates that are too far are so in latitude alone, which takes no trigonometry. The margin is
            // for the rounding of the other formula.
            if GeoPoint.latitudeDistance(center.latitude, point.latitude) > halfHeight * (1 + 1e-6) + 1e-3 {
                return nil
            }
            let distance = center.distance(to: point)
            return distance > halfHeight ? nil : distance
        case .box:
            if GeoPoint.latitudeDistance(point.latitude, center.latitude) > halfHeight { return nil }
            let across = point.distance(to: GeoPoint(longitude: center.longitude, latitude: point.latitude))
            return across > halfWidth ? nil : center.distance(to: point)
        }
    }

    /// The cells that together cover the area, in the order in which they are searched: the one around the centre, north,
    /// south, east, west, and the corners. At most 9, each once.
    var cells: [GeoCell] {
        let bounds = self.bounds
        let radius: Double
        switch extent {
        case .radius: radius = halfWidth
        case .box: radius = (halfWidth * halfWidth + halfHeight * halfHeight).squareRoot()
        }
        var step = Self.step(radius: radius, latitude: center.latitude)
        var cell = GeoCell(center, step: step)
        // Far from the equator, or where the centre is at its cell's edge, the neighbours may not reach far enough.
        if step > 1,
            cell.moved(0, 1).latitudes.max < bounds.north || cell.moved(0, -1).latitudes.min > bounds.south
                || cell.moved(1, 0).longitudes.max < bounds.east || cell.moved(-1, 0).longitudes.min > bounds.west
        {
            step -= 1
            cell = GeoCell(center, step: step)
        }
        var (north, south, east, west) = (true, true, true, true)
        if step >= 2 {
            // The cell reaches far enough by itself.
            south = cell.latitudes.min >= bounds.south
            north = cell.latitudes.max <= bounds.north
            west = cell.longitudes.min >= bounds.west
            east = cell.longitudes.max <= bounds.east
        }
        let moves: [(Bool, Int32, Int32)] = [
            (true, 0, 0), (north, 0, 1), (south, 0, -1), (east, 1, 0), (west, -1, 0), (north && east, 1, 1),
            (north && west, -1, 1), (south && east, 1, -1), (south && west, -1, -1),
        ]
        var cells: [GeoCell] = []
        for (isNeeded, columns, rows) in moves where isNeeded {
            // The largest cells are their own neighbours.
            let next = cell.moved(columns, rows)
            if !cells.contains(next) { cells.append(next) }
        }
        return cells
    }

    /// In degrees; east and west may lie beyond 180.
    private var bounds: (south: Double, north: Double, west: Double, east: Double) {
        let dLatitude = GeoPoint.degrees(halfHeight / GeoPoint.earthRadius)
        // The side that is nearer to the pole is the wider one.
        let edge = center.latitude < 0 ? center.latitude - dLatitude : center.latitude + dLatitude
        let dLongitude = GeoPoint.degrees(halfWidth / GeoPoint.earthRadius / cos(GeoPoint.radians(edge)))
        return (
            center.latitude - dLatitude, center.latitude + dLatitude, center.longitude - dLongitude,
            center.longitude + dLongitude
        )
    }

    /// The number of bits of each coordinate for cells at least as wide as the radius.
    private static func step(radius: Double, latitude: Double) -> Int {
        if radius == 0 { return GeoCell.maximumStep }
        // Half the equator as Mercator sees it.
        let mercatorMaximum = 20037726.37
        var range = radius
        var step = 1
        while range < mercatorMaximum {
            range *= 2
            step += 1
        }
        step -= 2
        // Towards the poles, cells grow narrower.
        if abs(latitude) > 66 { step -= 1 }
        if abs(latitude) > 80 { step -= 1 }
        return min(max(step, 1), GeoCell.maximumStep)
    }
}
