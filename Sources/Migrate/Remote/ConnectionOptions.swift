import ArgumentParser
import Glibc
import Storage

/// How a server is reached: the same options for every command that does.
struct ConnectionOptions: ParsableArguments {
    @Option(help: "The user to authenticate as.")
    var user: String?

    @Option(
        help: ArgumentHelp(
            "The environment variable that holds the password. (default: REDISCLI_AUTH)",
            discussion: "A password on the command line could be seen by every user of the machine."))
    var passwordEnv: String?

    @Option(help: "The file whose first line is the password.", completion: .file())
    var passwordFile: String?

    @Flag(help: "Speak TLS, as rediss:// does.")
    var tls = false

    @Option(help: "The file of certificates of authorities to trust.", completion: .file())
    var cacert: String?

    @Option(help: "The file of the client's certificate.", completion: .file())
    var cert: String?

    @Option(help: "The file of the client certificate's key.", completion: .file())
    var key: String?

    @Option(help: "The name that the server's certificate must have, instead of the host's.")
    var sni: String?

    @Flag(help: "Do not check the server's certificate.")
    var insecure = false

    @Option(help: "Seconds to wait for the server: for an answer, for its data to be loaded, or for it to come back.")
    var timeout = 60

    func validate() throws {
        if timeout < 1 { throw ValidationError("--timeout is 1 or more.") }
        if (cert == nil) != (key == nil) { throw ValidationError("--cert and --key come together.") }
    }

    /// What the options and the address say together. Throws where a file cannot be read.
    func access(_ address: ServerAddress) throws(StorageError) -> ServerAccess {
        do throws(RemoteError) { return try made(address) } catch { throw error.asStorageError(address.endpoint) }
    }

    private func made(_ address: ServerAddress) throws(RemoteError) -> ServerAccess {
        var access = ServerAccess(endpoint: address.endpoint, patience: Double(timeout))
        access.user = user ?? address.user
        access.password = try password() ?? address.password
        if access.password == nil, access.user != nil {
            throw RemoteError("a user is named and no password: --password-env or --password-file says where it is")
        }
        if tls || address.isEncrypted {
            access.encryption = try TLSClient(
                authorities: cacert, certificate: cert, key: key, name: sni, isChecked: !insecure)
        }
        return access
    }

    private func password() throws(RemoteError) -> String? {
        if let passwordFile {
            let line = OutputBuffer()
            do throws(StorageError) {
                let input = try Input(passwordFile)
                _ = try input.bytes.line(into: line)
            } catch {
                throw RemoteError("the password: \(error)")
            }
            return line.bytes.string.trimmed
        }
        if let passwordEnv {
            guard let value = getenv(passwordEnv) else {
                throw RemoteError("the environment has no variable \(passwordEnv)")
            }
            return String(cString: value)
        }
        return getenv("REDISCLI_AUTH").map { String(cString: $0) }
    }
}

extension String {
    /// Without a carriage return at its end.
    fileprivate var trimmed: String { last == "\r" ? String(dropLast()) : self }
}

/// What a connection to a server needs.
struct ServerAccess {
    var endpoint: ServerAddress.Endpoint
    /// Seconds.
    var patience: Double
    var user: String?
    var password: String?
    var encryption: TLSClient?
}

/// Why a server does not do what it is asked for.
struct RemoteError: Error, CustomStringConvertible {
    let description: String
    /// The connection is gone; another one may do.
    let isLost: Bool

    init(_ description: String, isLost: Bool = false) {
        self.description = description
        self.isLost = isLost
    }

    /// As what visitors throw.
    func asStorageError(_ place: ServerAddress.Endpoint) -> StorageError {
        StorageError(file: place.description, message: description)
    }
}
