import Storage

/// A server, put together from its parts: the router with the table of commands, persistence, replication, and what carries
/// keys to other servers. The only type that knows all of them. Confined to the loop's thread.
final class Server {
    let router: Router
    let persistence: PersistenceControl
    let links: Links
    let migrations: Migrations
    let replication: ReplicationControl
    let scripting: Scripting
    let queries: Queries
    let oomScore: OOMScore
    var config: Config { router.config }
    var logger: Logger { router.logger }

    init(
        config: Config = Config(), logger: Logger = Logger(level: .nothing), commands: [Command] = CommandTable.all
    ) {
        router = Router(config: config, logger: logger, commands: commands)
        persistence = PersistenceControl(router)
        links = Links(router.jobs)
        migrations = Migrations(router, links)
        replication = ReplicationControl(router, persistence, links)
        scripting = Scripting(router)
        queries = Queries(router, persistence)
        oomScore = OOMScore(router)
        router.add(self)
        router.add(persistence)
        router.add(replication)
        router.add(scripting)
        router.add(queries)
        router.add(oomScore)
        router.services.install(persistence)
        router.services.install(migrations)
        router.services.install(replication)
        router.services.install(scripting)
        router.services.install(queries)
    }
}
