/// `swiftlet-server --completion`: scripts with which shells complete the names of settings, made of their table.
enum Completion {
    static let option: ByteString = "--completion"

    /// nil for a shell that there is none for.
    static func script(for shell: ByteString) -> String? {
        switch shell {
        case "bash": bash
        case "zsh": zsh
        case "fish": fish
        default: nil
        }
    }

    private static let others = ["check-config", "completion", "help", "restore-check", "restore-to", "version"]
    /// What is shown by CONFIG GET.
    private static var settings: [String] {
        let shown = SettingTable.all.filter { !$0.flags.contains(.hidden) }
        return shown.flatMap { [$0.name, $0.alias].compactMap { $0?.description } }.sorted()
    }
    private static var options: String { (others + settings).map { "--" + $0 }.joined(separator: " ") }

    private static var bash: String {
        """
        _swiftlet_server() {
            local word=${COMP_WORDS[COMP_CWORD]}
            if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W "\(options)" -- "$word"))
            else
                COMPREPLY=($(compgen -f -- "$word"))
            fi
        }
        complete -o filenames -F _swiftlet_server swiftlet-server
        """
    }

    private static var zsh: String {
        """
        #compdef swiftlet-server
        if [[ $PREFIX == -* ]]; then
            compadd -- \(options)
        else
            _files
        fi
        """
    }

    private static var fish: String {
        let lines = others.map { "complete -c swiftlet-server -l \($0)" }
        return (lines + settings.map { "complete -c swiftlet-server -l \($0) -r" }).joined(separator: "\n")
    }
}
