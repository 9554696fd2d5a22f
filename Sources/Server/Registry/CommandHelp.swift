import Storage

/// The replies of the containers' HELP, in Redis's form: a line on the form of a request, then each subcommand with its
/// arguments and, indented, what it does.
enum CommandHelp {
    struct Line {
        let name: StaticString
        let arguments: StaticString
        let summary: StaticString
    }

    /// What the container's rows say.
    static func write(_ container: CommandEntry, _ reply: ReplyWriter) {
        let rows = container.row.subcommands.filter { if case .help = $0.handler { false } else { true } }
        var lines = rows.map {
            Line(name: $0.name, arguments: $0.documentation.arguments, summary: $0.documentation.summary)
        }
        if case .container = container.row.handler {
        } else {
            lines.insert(Line(name: "", arguments: "", summary: container.row.documentation.summary), at: 0)
        }
        write(container.row.name, lines, reply)
    }

    /// An empty name stands for no subcommand.
    static func write(_ container: StaticString, _ lines: [Line], _ reply: ReplyWriter) {
        reply.array(1 + 2 * (lines.count + 1))
        reply.simple(text: "\("\(container)".uppercased()) <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
        for line in lines {
            let arguments = ArgumentSyntax.parse(line.arguments) ?? []
            let name = "\(line.name)".uppercased()
            reply.simple(
                text: ([name.isEmpty ? "(no subcommand)" : name] + arguments.map(\.usage)).joined(separator: " "))
            reply.simple(text: "    \(line.summary)")
        }
        reply.simple("HELP")
        reply.simple("    Prints this help.")
    }
}
