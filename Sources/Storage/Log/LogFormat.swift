import CShims
import Glibc

/// The log's format: plain RESP commands, which `redis-cli --pipe` or Redis itself reads, in batches that check
/// themselves and what came before them.
///
/// A batch is what one turn of the server's loop appended, followed by a check record, a command that does nothing:
///
///     *2 $4 ECHO $19 swiftlet:b:xxxxxxxx
///
/// where x, in hex, is the batch's check. In version 2 that is the CRC32C of the batch's bytes, begun from the check
/// before (0 for a segment's first batch), and of the check record's own offset in the file, as 8 bytes, least
/// significant first: no batch can be taken out, repeated or moved. In version 1 it is the CRC32C of the batch alone.
///
/// A segment's first batch holds its header, `ECHO swiftlet:s:2:UUID:SEGMENT:PREVIOUS_END:PREVIOUS_CHECK`, all of fixed
/// width, and SELECT 0: where the segment before ended and its last check, so that none can be missing or foreign.
///
/// More records stand among a batch's commands. `ECHO swiftlet:h:ID:SECOND_ID:SECOND_OFFSET:` says that the stream of
/// changes has another history from here on (second id: `-` for none). `ECHO swiftlet:l:N` says that the N bytes of
/// commands behind it are local: executed like all others, and not part of the stream. With history kept,
/// `ECHO swiftlet:t:MS` says that what follows was logged at that time, in milliseconds since 1970, or later; and
/// `ECHO swiftlet:n:` that what follows may not be all that happened, or go on from other data: a rupture. Readers of
/// earlier versions pass both over, and count them as part of the stream.
enum LogFormat {
    static let checkPrefix: StaticString = "*2\r\n$4\r\nECHO\r\n$19\r\nswiftlet:b:"
    /// Bytes of a check record.
    static let checkSize = 40
    static let headerTag: StaticString = "swiftlet:s:"
    static let checkTag: StaticString = "swiftlet:b:"
    /// Bytes of the header's tag: 13 + 36 + 1 + 10 + 1 + 20 + 1 + 8.
    static let headerTagSize = 90
    /// Bytes of a segment's first batch: the header's ECHO (19 + 90 + 2), SELECT 0 (23) and a check record. A shorter
    /// file is one that was being made.
    static let headerSize = 174
    /// Bytes of a server's uuid, on which the header's offsets rest.
    static let serverSize = 36

    /// How a segment's batches check themselves.
    enum Version: UInt8, Sendable {
        case alone = 49
        case chained = 50

        /// The check of the batch `bytes`, whose record stands at `offset` in the file.
        func check(_ bytes: Bytes, after previous: UInt32, at offset: Int64) -> UInt32 {
            switch self {
            case .alone: return cshims_crc32c(0, bytes.base, bytes.count)
            case .chained:
                var position = offset.littleEndian
                return cshims_crc32c(cshims_crc32c(previous, bytes.base, bytes.count), &position, 8)
            }
        }
    }

    static func appendCheck(_ crc: UInt32, to out: OutputBuffer) {
        out.append(checkPrefix)
        appendHex(crc, to: out)
        out.appendLineEnd()
    }

    static func appendHeader(server: String, segment: Int64, previous: SegmentEnd, to out: OutputBuffer) {
        out.append("*2\r\n$4\r\nECHO\r\n$90\r\n")
        out.append(headerTag)
        out.append(byte: Version.chained.rawValue)
        out.append(":")
        out.append(text: server)
        out.append(":")
        appendDigits(segment, width: 10, to: out)
        out.append(":")
        appendDigits(previous.offset, width: 20, to: out)
        out.append(":")
        appendHex(previous.check, to: out)
        out.append("\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n")
    }

    static let historyTag: StaticString = "swiftlet:h:"
    static let localTag: StaticString = "swiftlet:l:"

    static let timeTag: StaticString = "swiftlet:t:"
    static let ruptureTag: StaticString = "swiftlet:n:"

    static func appendTime(_ milliseconds: Int64, to out: OutputBuffer) {
        appendEcho("\(timeTag)\(milliseconds)", to: out)
    }
    static func appendRupture(to out: OutputBuffer) { appendEcho("\(ruptureTag)", to: out) }
    /// Bytes of a batch that says nothing else.
    static let ruptureSize = 32 + checkSize
    /// In milliseconds; nil when `tag` says no time.
    static func time(in tag: Bytes) -> Int64? {
        guard tag.count > 11, tag.count < 40, tag[0..<11] == Bytes(timeTag) else { return nil }
        return tag[11..<tag.count].integer
    }
    static func isRupture(_ tag: Bytes) -> Bool { tag == Bytes(ruptureTag) }

    static func appendHistory(_ history: LogHistory, to out: OutputBuffer) {
        appendEcho("\(historyTag)\(history.id):\(history.secondID ?? "-"):\(history.secondOffset):", to: out)
    }
    static func appendLocal(_ count: Int, to out: OutputBuffer) { appendEcho("\(localTag)\(count)", to: out) }
    private static func appendEcho(_ tag: String, to out: OutputBuffer) {
        out.append(text: "*2\r\n$4\r\nECHO\r\n$\(tag.utf8.count)\r\n\(tag)\r\n")
    }
    static func appendSelect(_ database: Int, to out: OutputBuffer) {
        let digits = String(database)
        out.append(text: "*2\r\n$6\r\nSELECT\r\n$\(digits.utf8.count)\r\n\(digits)\r\n")
    }

    /// nil when `tag` is none of a history.
    static func history(in tag: Bytes) -> LogHistory? {
        guard tag.count > 11, tag.count < 400, tag[0..<11] == Bytes(historyTag) else { return nil }
        let parts = tag.string.dropFirst(11).split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 4, !parts[0].isEmpty, !parts[1].isEmpty, parts[3].isEmpty, let offset = Int(parts[2]),
            offset >= 0
        else { return nil }
        return LogHistory(
            id: String(parts[0]), secondID: parts[1] == "-" ? nil : String(parts[1]), secondOffset: offset)
    }
    /// How many local bytes follow; nil when `tag` does not say.
    static func local(in tag: Bytes) -> Int? {
        guard tag.count > 11, tag[0..<11] == Bytes(localTag), let count = tag[11..<tag.count].integer, count >= 0
        else { return nil }
        return Int(count)
    }

    private static func appendHex(_ value: UInt32, to out: OutputBuffer) {
        for shift in stride(from: 28, through: 0, by: -4) {
            let digit = UInt8((value >> UInt32(shift)) & 15)
            out.append(byte: digit < 10 ? 48 + digit : 87 + digit)
        }
    }
    static func appendDigits(_ value: Int64, width: Int, to out: OutputBuffer) {
        let text = String(value)
        for _ in 0..<max(0, width - text.utf8.count) { out.append(byte: 48) }
        out.append(text: text)
    }

    /// The checksum in a check record's tag; nil when `tag` is none.
    static func check(in tag: Bytes) -> UInt32? {
        guard tag.count == 19, tag[0..<11] == Bytes(checkTag) else { return nil }
        return hex(tag[11..<19])
    }
    private static func hex(_ digits: Bytes) -> UInt32? {
        var value: UInt32 = 0
        for i in 0..<digits.count {
            switch digits[i] {
            case 48...57: value = value << 4 | UInt32(digits[i] - 48)
            case 97...102: value = value << 4 | UInt32(digits[i] - 87)
            default: return nil
            }
        }
        return value
    }

    struct Header: Equatable {
        var version: Version
        var server: String
        var segment: Int64
        var previous: SegmentEnd
    }
    static func header(in tag: Bytes) -> Header? {
        guard tag.count == headerTagSize, tag[0..<11] == Bytes(headerTag), let version = Version(rawValue: tag[11]),
            tag[12] == 58, tag[49] == 58, tag[60] == 58, tag[81] == 58, let segment = Int64(tag[50..<60].string),
            let offset = Int64(tag[61..<81].string),
            let check = hex(tag[82..<90])
        else { return nil }
        return Header(
            version: version, server: tag[13..<49].string, segment: segment,
            previous: SegmentEnd(offset: offset, check: check))
    }

    /// A segment's file name.
    static func fileName(_ base: String, _ segment: Int64) -> String {
        let number = String(segment)
        return base + "." + String(repeating: "0", count: max(0, 10 - number.utf8.count)) + number
    }
    /// The number in a segment's file name.
    static func segmentNumber(_ name: String, base: String) -> Int64? {
        guard name.hasPrefix(base + "."), name.utf8.count == base.utf8.count + 11 else { return nil }
        let digits = name.dropFirst(base.count + 1)
        guard digits.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
        return Int64(digits)
    }

    /// Numbers of the segments in `directory`, ascending.
    static func segments(
        directory: String, base: String, _ files: any FileSystem
    ) throws(StorageError) -> [Int64] {
        do throws(FileError) {
            return try files.names(in: directory).compactMap { segmentNumber($0, base: base) }.sorted()
        } catch {
            throw .system(directory, "cannot read the directory", error)
        }
    }
}

/// Names the history that a stream of changes has, and the one before it: see `DataDirectory.Stream`.
public struct LogHistory: Equatable, Sendable {
    public var id: String
    public var secondID: String?
    public var secondOffset: Int

    public init(id: String, secondID: String?, secondOffset: Int) {
        self.id = id
        self.secondID = secondID
        self.secondOffset = secondOffset
    }
}

/// Where a segment ends: its length in bytes and the check of its last batch. Zeros before the first segment.
public struct SegmentEnd: Equatable, Sendable {
    public var offset: Int64
    public var check: UInt32
    public init(offset: Int64 = 0, check: UInt32 = 0) {
        self.offset = offset
        self.check = check
    }
}

extension StorageError {
    /// A failed system call, with errno's text.
    public static func system(_ file: String, _ what: String, code: Int32 = errno) -> StorageError {
        StorageError(file: file, message: "\(what): \(String(cString: strerror(code)))")
    }
}
