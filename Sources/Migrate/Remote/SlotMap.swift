import Storage

/// Which node of a cluster has which of the 16384 slots
/// (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
struct SlotMap {
    static let count = 16384
    /// nil: no node has the slot.
    private(set) var nodes = [ServerAddress.Endpoint?](repeating: nil, count: count)
    /// Each master once, in the order of slots.
    private(set) var masters: [ServerAddress.Endpoint] = []

    /// Asks the node at the other end of `connection`.
    init(_ connection: RemoteConnection) throws(RemoteError) {
        let answer = try connection.call(["CLUSTER", "SLOTS"])
        guard let ranges = answer.array else {
            throw RemoteError("CLUSTER SLOTS: \(answer.failure ?? "no list")")
        }
        for range in ranges {
            guard let parts = range.array, parts.count >= 3, let first = parts[0].integer, let last = parts[1].integer,
                first >= 0, first <= last, last < Int64(Self.count), let node = parts[2].array, node.count >= 2,
                let port = node[1].integer
            else { throw RemoteError("CLUSTER SLOTS: answers something else than ranges of slots") }
            let master = Self.endpoint(node[0].text ?? "", port: String(port), from: connection.access.endpoint)
            if !masters.contains(master) { masters.append(master) }
            for slot in first...last { nodes[Int(slot)] = master }
        }
        if masters.isEmpty { throw RemoteError("is of a cluster in which no node has any slot") }
    }

    /// A node's address as a node of `known` tells it: without a host it is that of the one that tells.
    static func endpoint(
        _ host: String, port: String, from known: ServerAddress.Endpoint
    ) -> ServerAddress.Endpoint {
        if host.isEmpty || host == "?", case .host(let host, _) = known { return .host(host, port: port) }
        return .host(host, port: port)
    }

    mutating func set(_ slot: Int, _ node: ServerAddress.Endpoint) {
        if nodes.indices.contains(slot) { nodes[slot] = node }
    }

    /// The slot of a key: the CRC16 (XMODEM) of the key, or of what stands between its first { and the next }, where that is
    /// something.
    static func slot(of key: Bytes) -> Int {
        var hashed = key
        if let open = key.buffer.firstIndex(of: UInt8(ascii: "{")),
            let close = key[open + 1..<key.count].buffer.firstIndex(of: UInt8(ascii: "}")), close > 0
        {
            hashed = key[open + 1..<open + 1 + close]
        }
        var crc: UInt16 = 0
        for byte in hashed.buffer {
            crc ^= UInt16(byte) << 8
            for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
        }
        return Int(crc) % count
    }
}
