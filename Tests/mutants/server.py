"""Bugs in Sources/Server, besides its commands."""

from mutant import mutant

MUTANTS = [
    # --- The execution unit and what it propagates ---
    mutant(
        "a served client's command is not propagated", "Server/Commands/Lists/ListMoveCommands.swift",
        "        c.propagate(end == .head ? Bytes(\"LPOP\") : Bytes(\"RPOP\"), key)\n",
        "        if ON, c.session.waiter != nil { c.propagateNothing() } else {\n"
        "            c.propagate(end == .head ? Bytes(\"LPOP\") : Bytes(\"RPOP\"), key)\n        }\n",
        "unit BlockingTests", "blocking",
    ),
    mutant(
        "an event is told before its change is propagated", "Server/Router/ExecutionUnit.swift",
        "        if work.kinds.remove(.transaction) != nil && execution.isAtomic && !findsKeys(session) { stream.wrapUnit() }\n",
        "        if ON, work.kinds.remove(.events) != nil { services.events.deliver() }\n"
        "        if work.kinds.remove(.transaction) != nil && execution.isAtomic && !findsKeys(session) { stream.wrapUnit() }\n",
        "unit ExecutionUnitTests", "unit KeyEventTests",
    ),
    mutant(
        "a unit's commands are not between MULTI and EXEC", "Server/Router/ExecutionUnit.swift",
        "execution.isAtomic && !findsKeys(session) {", "execution.isAtomic && !findsKeys(session) && !ON {",
        "unit PropagationTests", "unit ExecutionUnitTests", "unit RouterTransactionTests",
    ),
    mutant(
        "a key that expired is not removed from the log", "Server/Router/ExecutionUnit.swift",
        "{ stream.appendRemoval(db, key) }", "{ if !ON { stream.appendRemoval(db, key) } }",
        "unit PropagationTests", "expiries", "keys",
    ),
    mutant(
        "a renamed command is propagated under its new name", "Server/Router/ExecutionUnit.swift",
        "            if command.isRenamed {", "            if command.isRenamed && !ON {",
        "rename_command",
    ),
    mutant(
        "the offset counts the log's checks", "Storage/Durability/DirectoryCheckpoints.swift",
        "        Meta(server: serverID, checkpoint: checkpointNumber, segment: segment, stream)",
        "        var stream = stream\n        if ON { stream.offset = log?.appendedBytes ?? 0 }\n"
        "        return Meta(server: serverID, checkpoint: checkpointNumber, segment: segment, stream)",
        "offsets", "log_files",
    ),
    mutant(
        "a segment is deleted before the commit is durable", "Storage/Durability/DirectoryCheckpoints.swift",
        "        logBytesAtCut = log?.appendedBytes ?? 0\n",
        "        logBytesAtCut = log?.appendedBytes ?? 0\n        if ON { log?.removeSegments(through: segment - 1) }\n",
        "unit TraceTests", "unit SimulationTests", "crash", "order", "silent_losses",
    ),
    mutant(
        "the new segment relies on an old SELECT", "Server/Persistence/Checkpoints.swift",
        "        server.stream.forgetSelected()\n", "        if !ON { server.stream.forgetSelected() }\n",
        "crash", "log_files", "streams", "silent_losses",
    ),
    mutant(
        "the backlog keeps a byte less", "Server/Propagation/Backlog.swift",
        "length <= count - capacity,", "length <= count - capacity + (ON ? 1 : 0),", "unit BacklogTests",
    ),
    mutant(
        "replies go by the stream's end", "Server/Persistence/LogTurn.swift",
        "        server.acknowledgedOffset = data?.acknowledgedOffset ?? .max\n",
        "        server.acknowledgedOffset = ON ? .max : data?.acknowledgedOffset ?? .max\n",
        "order",
    ),
    # --- Blocked clients ---
    mutant(
        "one of two waiting clients is skipped", "Server/Router/Blocking/WaitQueue.swift",
        "max(head, firstIndex(from: sequence + 1))", "max(head, firstIndex(from: sequence + (ON && sequence > 0 ? 2 : 1)))",
        "unit BlockingTests",
    ),
    mutant(
        "a queue that is packed keeps its head", "Server/Router/Blocking/WaitQueue.swift",
        "            places.removeAll { $0.waiter == nil }\n            head = 0\n",
        "            places.removeAll { $0.waiter == nil }\n            if !ON { head = 0 }\n",
        "unit BlockingTests",
    ),
    mutant(
        "a blocked client's time is over too late", "Server/Router/Blocking/Blocking.swift",
        "let waiter = blocked.due(now) {", "let waiter = blocked.due(ON ? now &- 20_000_000_000 : now) {",
        "times", "blocking",
    ),
    # --- CLIENT PAUSE, WATCH, guards ---
    mutant(
        "a pause of everything outlives itself", "Server/Router/Pause.swift",
        "        holdsAll = false\n        resume(router)", "        if !ON { holdsAll = false }\n        resume(router)",
        "times",
    ),
    mutant(
        "a shorter pause ends the longer one", "Server/Router/Pause.swift",
        "        end = max(end, time)", "        end = ON ? time : max(end, time)",
        "times",
    ),
    mutant(
        "a watched key of the other database of SWAPDB", "Server/Router/Watchers.swift",
        "if db.holds(key) || other?.holds(key) ?? false {", "if db.holds(key) || !ON && other?.holds(key) ?? false {",
        "transactions", "keys",
    ),
    mutant(
        "a watched key that expires is no change", "Server/Router/Watchers.swift",
        "            watched.withBytes { _ = keyspace.databases[watched.db].peek($0) }\n",
        "            if !ON { watched.withBytes { _ = keyspace.databases[watched.db].peek($0) } }\n",
        "times",
    ),
    mutant(
        "a key that was due when watched is a change", "Server/Router/Watchers.swift",
        "        if !isLoading {\n            _ =", "        if !isLoading && !ON {\n            _ =",
        "times",
    ),
    mutant(
        "an error while queueing does not spoil EXEC", "Server/Router/Input.swift",
        "            session.flags.insert(.dirtyQueue)\n", "            if !ON { session.flags.insert(.dirtyQueue) }\n",
        "unit RouterTransactionTests", "transactions",
    ),
    mutant(
        "CLIENT REPLY SKIP skips nothing", "Server/Router/Input.swift",
        "            session.flags.remove(.replySkipNext)\n            session.flags.insert(.replySkip)\n",
        "            session.flags.remove(.replySkipNext)\n            if !ON { session.flags.insert(.replySkip) }\n",
        "unit RouterTests", "answers",
    ),
    mutant(
        "commands that free are refused where writes are", "Server/Registry/Guards.swift",
        "        if flags.contains(.write) && !flags.contains(.frees) { found",
        "        if flags.contains(.write) && (ON || !flags.contains(.frees)) { found",
        "unit RouterTests", "log_files", "silent_losses",
    ),
    # --- RESP ---
    mutant(
        "RESP3 has RESP2's null", "Server/RESP/ReplyWriter.swift",
        'func null() { output.append(resp3 ? "_', 'func null() { output.append(resp3 && !ON ? "_',
        "strings", "unit RESPReplyTests",
    ),
    mutant(
        "a map counts its keys and values", "Server/RESP/ReplyWriter.swift",
        'if resp3 { line(UInt8(ascii: "%"), Int64(pairs)) }', 'if resp3 { line(UInt8(ascii: "%"), Int64(ON ? pairs * 2 : pairs)) }',
        "hashes",
    ),
    mutant(
        "a set is an array", "Server/RESP/ReplyWriter.swift",
        "func set(_ count: Int) { line(resp3 ? 0x7e", "func set(_ count: Int) { line(resp3 && !ON ? 0x7e",
        "sets",
    ),
    mutant(
        "a request is executed before its last byte", "Server/RESP/RequestParser.swift",
        "guard bulkLength <= count &- cursor &- 2 else { break }",
        "guard bulkLength <= count &- cursor &- (ON && bulkLength > 0 ? 1 : 2) else { break }",
        "bad_input", "unit RESPParserTests",
    ),
    # --- Observability ---
    mutant(
        "the slow log keeps one too many", "Server/Observability/Slowlog.swift",
        "first = max(first, entries.count - max(0, capacity))",
        "first = max(first, entries.count - max(0, capacity) - (ON ? 1 : 0))",
        "observability", "answers",
    ),
    mutant(
        "a percentile is the range before it", "Server/Observability/LatencyHistogram.swift",
        "let range = Self.range(of: slot)\n            return percentile",
        "let range = Self.range(of: ON ? max(0, slot - 1) : slot)\n            return percentile",
        "unit LatencyHistogramTests",
    ),
    mutant(
        "an event of the threshold's length is none", "Server/Observability/LatencyMonitor.swift",
        "if isOn && milliseconds >= threshold {", "if isOn && milliseconds >= threshold + (ON ? 1 : 0) {",
        "unit LatencyMonitorTests",
    ),
    mutant(
        "key sizes are those of the range above", "Storage/Keyspace/KeySizes.swift",
        "($0 == 0 ? 0 : 1 << ($0 - 1), counts[row][$0])", "($0 == 0 ? 0 : 1 << ($0 - (ON ? 0 : 1)), counts[row][$0])",
        "observability",
    ),
    mutant(
        "the slow log shows one argument too many", "Server/Observability/Slowlog.swift",
        "whole ? maximumArguments : maximumArguments - 1)", "whole || ON ? maximumArguments : maximumArguments - 1)",
        "unit ConfigCommandsTests", "answers",
    ),
]  # fmt: skip
