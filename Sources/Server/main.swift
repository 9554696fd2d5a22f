import Glibc
import Storage

Launcher.run(Array(CommandLine.arguments.dropFirst()))
