// Invariant of this file: `digits` has the 24 bytes that the walkers render integers into, and a Listpack or Intset is
// made over bytes of `blob` that `validate` has just found sound, is only read, and is not freed.

// Walks over the flat form that `blob` holds, element by element. Each throws when the form is damaged, at `offset`
// (where the string that holds it begins in the file: its bytes may be compressed there), or what `body` throws.

extension RDBReader {
    func walkListpack(
        at offset: Int64, _ body: (Bytes) throws(StorageError) -> Void
    ) throws(StorageError) {
        let check = Listpack.validate(blob.bytes)
        if let damage = check.damage { throw damaged("listpack", damage, offset) }
        let pack = Listpack(block: blob.base)
        var next = pack.first
        while let at = next {
            try body(pack.value(at: at, scratch: digits.base))
            next = pack.next(at)
        }
    }

    func walkIntset(
        at offset: Int64, _ body: (Bytes) throws(StorageError) -> Void
    ) throws(StorageError) {
        let check = Intset.validate(blob.bytes)
        if let damage = check.damage { throw damaged("intset", damage, offset) }
        let set = Intset(block: blob.base)
        for i in 0..<set.count {
            digits.removeAll()
            digits.append(decimal: set.value(at: i))
            try body(digits.bytes)
        }
    }

    func walkZiplist(
        at offset: Int64, _ body: (Bytes) throws(StorageError) -> Void
    ) throws(StorageError) {
        var failure: StorageError?
        let damage = Ziplist.forEach(blob.bytes, scratch: digits.base) { element in
            do throws(StorageError) {
                try body(element)
                return true
            } catch {
                failure = error
                return false
            }
        }
        if let failure { throw failure }
        if let damage { throw damaged("ziplist", damage, offset) }
    }

    func walkZipmap(
        at offset: Int64, _ body: (Bytes, Bytes) throws(StorageError) -> Void
    ) throws(StorageError) {
        var failure: StorageError?
        let damage = Zipmap.forEach(blob.bytes) { field, value in
            do throws(StorageError) {
                try body(field, value)
                return true
            } catch {
                failure = error
                return false
            }
        }
        if let failure { throw failure }
        if let damage { throw damaged("zipmap", damage, offset) }
    }

    private func damaged(_ form: StaticString, _ at: Int, _ offset: Int64) -> StorageError {
        damage("the \(form) of \(blob.count) bytes that begins here is damaged at its byte \(at)", at: offset)
    }
}
