import Storage

/// SQL: queries of the snapshot.
enum SQLCommands {
    static var table: [Command] {
        CommandGroup.server.rows([
            .read(
                "sql", -2, [.noscript, .repliesLater], [], "7.2.0",
                "[format(JSON|CSV)] statement(HELP|SCHEMA|recipes{RECIPES [name]}|recipe{RECIPE name}|select) [parameter...]",
                "Queries the last checkpoint with SQL.", sql
            ).complexity("Depends on the statement; on another thread").tips("nondeterministic_output").categories(
                [.sql, .dangerous], only: true
            ).databases(.all)
        ])
    }

    private static func sql(_ c: ReadContext) throws(CommandError) {
        if c.args.count == 2 && c.args[1].equals(ignoringCase: "help") {
            return CommandHelp.write("sql", help, c.reply)
        }
        // All keys are in the snapshot.
        guard c.mayReadAnyKey else { throw .noKeyPermission }
        if c.args.count == 3 && c.args[1].equals(ignoringCase: "recipes") {
            return c.reply.bulk(try recipe(c.args[2]).sql)
        }
        let request = try request(c)
        c.session.services.part(Queries.self).begin(c.session, c.args, request)
    }

    private static func request(_ c: ReadContext) throws(CommandError) -> QueryRequest {
        var format = AnswerFormat.rows
        var at = 1
        if c.args.count > 2 {
            if c.args[1].equals(ignoringCase: "json") { format = .json }
            if c.args[1].equals(ignoringCase: "csv") { format = .csv }
            if format != .rows { at = 2 }
        }
        let count = c.args.count - at
        if count == 1 && c.args[at].equals(ignoringCase: "schema") {
            return QueryRequest(format: format, statement: Array(SnapshotQuery.schema.utf8))
        }
        if count == 1 && c.args[at].equals(ignoringCase: "recipes") {
            return QueryRequest(
                format: format, statement: Array(Recipe.list.utf8), parameters: [Array(Recipe.names.utf8)])
        }
        var statement = c.args[at].array
        if count > 1 && c.args[at].equals(ignoringCase: "recipe") {
            at += 1
            statement = Array(try recipe(c.args[at]).sql.utf8)
        }
        let parameters = (at + 1..<max(at + 1, c.args.count)).map { c.args[$0].array }
        return QueryRequest(format: format, statement: statement, parameters: parameters)
    }

    private static func recipe(_ name: Bytes) throws(CommandError) -> Recipe {
        if let found = Recipe.all.first(where: { $0.name == name.string }) { return found }
        throw CommandError("ERR SQL: there is no recipe of this name: SQL RECIPES lists them")
    }

    private static let help: [CommandHelp.Line] = [
        CommandHelp.Line(
            name: "", arguments: "[format(JSON|CSV)] select [parameter...]",
            summary: "Executes a SELECT on the last checkpoint. A ? in it stands for a parameter."),
        CommandHelp.Line(
            name: "schema", arguments: "", summary: "Returns the tables and views, with their columns."),
        CommandHelp.Line(
            name: "recipes", arguments: "[name]", summary: "Returns queries to begin with, or the text of one."),
        CommandHelp.Line(
            name: "recipe", arguments: "name [parameter...]", summary: "Executes one of them."),
    ]
}
