/// The commands as rules of users name them: by their own names, whatever `rename-command` has made of these, each with a
/// number. A subcommand is `container|name`.
final class CommandCatalog: Sendable {
    struct Item: Sendable {
        let number: Int
        let name: ByteString
        let categories: Categories
        /// Numbers of its subcommands.
        let subcommands: Range<Int>
        let isSubcommand: Bool
    }
    /// By number: a container's subcommands follow it.
    let items: [Item]
    private let numbers: [ByteString: Int]

    /// Names are in lower case.
    init(_ commands: [(name: ByteString, categories: Categories, subcommands: [(ByteString, Categories)])]) {
        var items: [Item] = []
        for command in commands {
            let first = items.count + 1
            items.append(
                Item(
                    number: items.count, name: command.name, categories: command.categories,
                    subcommands: first..<first + command.subcommands.count, isSubcommand: false))
            for (name, categories) in command.subcommands {
                items.append(
                    Item(
                        number: items.count, name: "\(command.name)|\(name)", categories: categories,
                        subcommands: 0..<0, isSubcommand: true))
            }
        }
        self.items = items
        numbers = Dictionary(items.map { ($0.name, $0.number) }) { first, _ in first }
    }

    /// The command of this name, whatever its case.
    func find(_ name: ByteString) -> Item? { numbers[name.lowercased].map { items[$0] } }
}
