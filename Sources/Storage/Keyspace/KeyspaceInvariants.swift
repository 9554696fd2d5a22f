extension Keyspace {
    /// Throws where a structure in memory contradicts itself or another: tables, values, heaps, and what is noted as changed. It
    /// changes nothing. O(everything that is stored): for tests and DEBUG CHECK-INVARIANTS.
    public func checkInvariants() throws(BrokenInvariant) {
        for database in databases {
            try database.contents.checkInvariants(self)
            try invariant(!database.contents.isOrphan, "database \(database.index): its contents were given up")
        }
    }
}

extension Contents {
    fileprivate func checkInvariants(_ keyspace: Keyspace) throws(BrokenInvariant) {
        try expiries.checkInvariants()
        try fieldExpiries.checkInvariants()
        var found = (expiring: 0, anchors: 0)
        try table.checkInvariants { (entry, changed, pending) throws(BrokenInvariant) in
            let name = entry.key.quoted
            try invariant(
                !entry.flags.contains(keyspace.currentFlag) || changed,
                "\(name) has changed and its bucket does not say so")
            try invariant(
                !entry.flags.contains(keyspace.pendingFlag) || keyspace.handover != nil,
                "\(name) is to be handed over to no checkpoint")
            if entry.expiry != nil {
                found.expiring += 1
                try invariant(expiries.holds(entry), "\(name) expires and is not in the heap")
            }
            try entry.checkInvariants()
            if let anchor = entry.hasExpiringFields ? entry.tableValue.expiring?.anchor : nil {
                found.anchors += 1
                try invariant(
                    fieldExpiries.holds(anchor), "\(name) has fields that expire and is not in the heap of hashes")
                try invariant(
                    anchor.expiry == entry.tableValue.expiring?.heap.first?.when && anchor.key == entry.key,
                    "\(name) stands in the heap of hashes with another time or key")
            } else {
                try invariant(
                    !entry.hasExpiringFields, "\(name) has fields that expire and is not in the heap of hashes")
            }
        }
        try invariant(
            found.expiring == expiries.count, "\(found.expiring) keys expire, and \(expiries.count) are in the heap")
        try invariant(
            found.anchors == fieldExpiries.count, "\(fieldExpiries.count) hashes of \(found.anchors) in the heap")
    }
}

extension Entry {
    /// Type and encoding go together, and the value is sound. O(elements).
    fileprivate func checkInvariants() throws(BrokenInvariant) {
        let isKnown =
            switch (type, encoding) {
            case (.string, .int), (.string, .embstr), (.string, .raw), (.list, .listpack), (.list, .quicklist),
                (.set, .intset), (.set, .listpack), (.set, .hashtable), (.hash, .listpack), (.hash, .hashtable),
                (.zset, .listpack), (.zset, .skiplist), (.stream, .stream):
                true
            case (.string, _), (.list, _), (.set, _), (.hash, _), (.zset, _), (.stream, _): false
            }
        try invariant(isKnown, "\(key.quoted) is a \(type.name) encoded as \(encoding.name)")
        do throws(BrokenInvariant) {
            switch encoding {
            case .int, .embstr, .raw: break
            case .listpack: try listpack.checkInvariants()
            case .intset: try intset.checkInvariants()
            case .quicklist, .hashtable, .skiplist, .stream: try largeValue?.checkInvariants()
            }
        } catch {
            throw BrokenInvariant("\(key.quoted): \(error.description)")
        }
        try invariant(type == .stream || elementCount > 0, "\(key.quoted) is empty")
    }
}
