// swift-tools-version: 6.1
import PackageDescription

// Warnings are errors in the Makefile (-warnings-as-errors), not here: unsafe flags in a manifest would make the
// Storage library unusable as a dependency.
let swift6: [SwiftSetting] = [.swiftLanguageMode(.v6)]

let package = Package(
    name: "swiftlet",
    products: [
        .library(name: "Storage", targets: ["Storage"]),
        .executable(name: "swiftlet-server", targets: ["ServerMain"]),
        .executable(name: "redis-migrate", targets: ["Migrate"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
    ],
    targets: [
        // All SQL. The target embeds the .sql files in the binary.
        .target(name: "schema", path: "schema", resources: [.embedInCode("sql")], swiftSettings: swift6),
        .systemLibrary(name: "CSQLite", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CLZF", providers: [.apt(["liblzf-dev"])]),
        .systemLibrary(name: "CJemalloc", providers: [.apt(["libjemalloc-dev"])]),
        .systemLibrary(name: "CCrypto", providers: [.apt(["libssl-dev"])]),
        // The archives, too: redis-migrate alone needs them.
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CZstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CSSL", providers: [.apt(["libssl-dev"])]),
        .target(name: "CShims"),
        // The archives, not the shared libraries: a server runs where there is no Lua.
        .target(
            name: "CLua",
            linkerSettings: [
                .linkedLibrary(":liblua5.1-cjson.a"), .linkedLibrary(":liblua5.1-bitop.a"),
                .linkedLibrary(":liblua5.1.a"), .linkedLibrary("m"),
            ]),
        .target(
            name: "Storage", dependencies: ["schema", "CSQLite", "CLZF", "CJemalloc", "CCrypto", "CShims"],
            swiftSettings: swift6),
        // A library, so that redis-migrate can execute the commands of an append-only file.
        .target(
            name: "Server", dependencies: ["Storage", "CShims", "CLua", "CSSL"], exclude: ["Main"],
            swiftSettings: swift6),
        .executableTarget(
            name: "ServerMain", dependencies: ["Server", "Storage"], path: "Sources/Server/Main",
            swiftSettings: swift6),
        .executableTarget(
            name: "Migrate",
            dependencies: [
                "Storage", "Server", "CSSL", "CZlib", "CZstd",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: swift6),
        .target(name: "TestSupport", path: "Tests/Support/Swift", swiftSettings: swift6),
        .testTarget(name: "StorageTests", dependencies: ["Storage", "CSQLite", "TestSupport"], swiftSettings: swift6),
        .testTarget(name: "ServerTests", dependencies: ["Server", "CLua", "TestSupport"], swiftSettings: swift6),
    ]
)
