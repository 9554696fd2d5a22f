/// The fields of one hash that expire. Hashes without any have none of this.
final class ExpiringFields {
    var heap = ExpiryHeap()
    /// Stands for the hash in its database's heap of hashes, by the soonest of its fields; its key is the hash's.
    var anchor: Entry?
    /// Whether the hash is a table only because fields expire: Redis has a small form for such.
    var looksSmall = false

    func free() {
        heap.free()
        anchor?.freeBlock()
    }
}

extension Entry {
    /// What OBJECT ENCODING answers.
    public var encodingName: StaticString {
        guard type == .hash, encoding == .hashtable, tableValue.expiring?.looksSmall == true else {
            return encoding.name
        }
        return "listpackex"
    }
}
