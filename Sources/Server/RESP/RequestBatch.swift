import Storage

// Invariant of this file: `arguments` has room for `capacity` values, the first `argumentCount` initialised; they
// borrow from the input that is being parsed and from `unquoted`, and are good until `removeAll`.

/// The requests that were parsed and not yet executed, shared by all connections of the loop.
final class RequestBatch {
    /// Requests that are parsed ahead, so that their keys can be brought near all at once.
    static var maximumRequests: Int { StructureSizes.size(16, small: 3) }
    /// Room for arguments that is kept: a request with more gives it back.
    private static let keptCapacity = 4096

    struct Request {
        var firstArgument = 0
        var argumentCount = 0
        /// Where the request begins in the input, and its length there.
        var offset = 0
        var length = 0
        /// Its bytes are exactly what the log's reader takes, so that they can be logged as they came.
        var isCanonical = false
        /// The hash of its key, once asked for.
        var hash: UInt64 = 0
        var hasHash = false
        /// The hash of the element of a large collection that it names; 0: none.
        var elementHash: UInt64 = 0
    }

    private(set) var requests = Array(repeating: Request(), count: maximumRequests)
    private(set) var count = 0
    private var arguments: UnsafeMutablePointer<Bytes>
    private var capacity: Int
    private(set) var argumentCount = 0
    /// Where inline arguments go that were quoted. One inline request at a time uses it.
    private(set) var unquoted = OutputBuffer(capacity: 64)

    init() {
        capacity = 256
        arguments = .allocate(capacity: capacity)
    }
    deinit { arguments.deallocate() }

    /// What borrows from either stays good.
    func exchangeContents(with other: RequestBatch) {
        swap(&requests, &other.requests)
        swap(&count, &other.count)
        swap(&arguments, &other.arguments)
        swap(&capacity, &other.capacity)
        swap(&argumentCount, &other.argumentCount)
        swap(&unquoted, &other.unquoted)
    }

    var isFull: Bool { count == Self.maximumRequests }

    func removeAll() {
        count = 0
        argumentCount = 0
        if capacity > Self.keptCapacity {
            arguments.deallocate()
            capacity = Self.keptCapacity
            arguments = .allocate(capacity: capacity)
        }
    }

    @inline(__always) func append(_ argument: Bytes) {
        if argumentCount == capacity { grow() }
        (arguments + argumentCount).initialize(to: argument)
        argumentCount &+= 1
    }
    @inline(never) private func grow() {
        let larger = UnsafeMutablePointer<Bytes>.allocate(capacity: capacity * 2)
        larger.update(from: arguments, count: argumentCount)
        arguments.deallocate()
        arguments = larger
        capacity *= 2
    }
    /// Takes back the arguments from `count` on: their request is not complete.
    func truncateArguments(to count: Int) { argumentCount = min(argumentCount, max(0, count)) }
    func argument(_ index: Int) -> Bytes {
        precondition(index >= 0 && index < argumentCount)
        return arguments[index]
    }

    /// Closes the request whose arguments were appended since `firstArgument`.
    @inline(__always) func endRequest(firstArgument: Int, offset: Int, length: Int, isCanonical: Bool) {
        precondition(count < Self.maximumRequests)
        requests[count] = Request(
            firstArgument: firstArgument, argumentCount: argumentCount &- firstArgument, offset: offset, length: length,
            isCanonical: isCanonical)
        count &+= 1
    }

    /// Bytes of the requests.
    var length: Int { requests[..<count].reduce(0) { $0 + $1.length } }

    @inline(__always) func arguments(of request: Request) -> Arguments {
        Arguments(arguments + request.firstArgument, request.argumentCount)
    }
    func setHash(_ hash: UInt64, of index: Int) {
        requests[index].hash = hash
        requests[index].hasHash = true
    }
    func setElementHash(_ hash: UInt64, of index: Int) { requests[index].elementHash = hash }
}
