/// The parts of the server that commands ask, by name.
extension Services {
    var router: Router { part() }
    var pubsub: PubSub { part() }
    var tracking: Tracking { part() }
    var monitors: Monitors { part() }
    var persistence: PersistenceControl { part() }
    var migrations: Migrations { part() }
    var scripting: Scripting { part() }
    var replication: ReplicationControl { part() }
}
