/// What is wrong with a configuration, all of it: a line for each fault, `file:line: the line: why`.
final class ConfigFaults {
    var lines: [ByteString] = []
}
