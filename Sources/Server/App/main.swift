import Glibc
import Storage

// Invariant of this file: argv holds argc C strings, which live as long as the process.

// As bytes: CommandLine.arguments replaces what is not UTF-8.
let arguments = (1..<max(1, Int(CommandLine.argc))).compactMap { index in
    CommandLine.unsafeArgv[index].map { ByteString(cString: $0) }
}
Launcher.run(arguments)
