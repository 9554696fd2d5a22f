"""Bugs of scripts and functions."""

from mutant import mutant

MUTANTS = [
    mutant(
        "a busy script's half unit goes to the log",
        "Server/Propagation/PropagationStream.swift",
        "        if isHeld { return }\n        if !partial",
        "        if isHeld && !ON { return }\n        if !partial",
        "scripting",
    ),
    mutant(
        "set_repl outlives its script",
        "Server/Scripting/ScriptRunner.swift",
        "if router.stream.targets != .all { router",
        "if router.stream.targets != .all && !ON { router",
        "scripting",
    ),
    mutant(
        "a script that has written can be killed",
        "Server/Scripting/ScriptRunner.swift",
        '        if hasWritten {\n            throw CommandError(\n                "UNKILL',
        '        if hasWritten && !ON {\n            throw CommandError(\n                "UNKILL',
        "scripting",
    ),
    mutant(
        "scripts of EVAL are kept without a bound",
        "Server/Scripting/ScriptCache.swift",
        "if passing.count >= Self.maximumPassing,",
        "if passing.count >= Self.maximumPassing, !ON,",
        "scripting",
    ),
    mutant(
        "errors that a command has answered are counted again",
        "Server/Scripting/LuaHost.swift",
        "if !isCounted { LuaHost",
        "if !isCounted || ON { LuaHost",
        "scripting",
    ),
    mutant(
        "a checkpoint leaves changed libraries out",
        "Storage/Durability/Checkpointer.swift",
        "isWhole || libraries.hasUnsaved ?",
        "isWhole || libraries.hasUnsaved && !ON ?",
        "functions",
    ),
    mutant(
        "what came before a busy script waits for its end",
        "Server/Scripting/ScriptRunner.swift",
        "        router.loop?.beginNesting()",
        "        if !ON { router.loop?.beginNesting() }",
        "scripting",
    ),
    mutant(
        "FUNCTION RESTORE leaves what it has loaded before it failed",
        "Server/Scripting/Scripting.swift",
        "            for library in added { release(library) }\n            throw error",
        "            for library in added { release(library) }\n            if ON { compiled = result }\n            throw error",
        "functions",
    ),
]
