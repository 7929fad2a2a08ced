// swift-tools-version: 6.2
// SPDX-License-Identifier: ISC

import PackageDescription

// Targets stand in the order in which a message meets them.

let common: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    // libevent's own headers define _GNU_SOURCE; every module must agree on it or fd_set differs between them.
    .unsafeFlags(["-Xcc", "-D_GNU_SOURCE"]),
    // Bytes returns parts of a span that it was given.
    .enableExperimentalFeature("Lifetimes"),
    .treatAllWarnings(as: .error),
    // What is generic over the messages of an edge is made for each of them: a tenth less CPU for a relayed message.
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]

/// Where tests compute for long, the debug build computes fast, and keeps its assertions: the crash matrix in an eighth of
/// the time.
let quick = common + [.unsafeFlags(["-O", "-assert-config", "Debug"], .when(configuration: .debug))]

/// One thread, one loop: everything in these targets runs on the loop unless it says otherwise.
let onLoop = common + [.defaultIsolation(MainActor.self)]

func core(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/Core/\(name)", swiftSettings: quick)
}

func library(_ name: String, pkgConfig: String, package: String) -> Target {
    .systemLibrary(
        name: name, path: "Sources/System/\(name)", pkgConfig: pkgConfig, providers: [.apt([package])])
}

func system(_ name: String, _ dependencies: [Target.Dependency], _ settings: [SwiftSetting]) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/System/\(name)", swiftSettings: settings)
}

/// A program of `group`; what every process needs to be one of the house comes with it.
func program(_ name: String, in group: String = "Daemons", _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies + ["Bytes", "Mail", "IPC", "Posix", "Reactor", "Channel", "Launch"],
        path: "Sources/\(group)/\(name)", swiftSettings: onLoop)
}

func tests(
    _ name: String, _ dependencies: [Target.Dependency], resources: [String] = [], _ settings: [SwiftSetting] = common
) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: dependencies, path: "Tests/\(name)Tests", exclude: resources,
        swiftSettings: settings)
}

/// A parser before whatever may come; see Tests/FuzzTests.
func fuzzer(_ name: String, in folder: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: "fuzz-\(name)", dependencies: dependencies + ["CFuzzer"], path: "Tests/Fuzz/\(folder)",
        swiftSettings: common)
}

let package = Package(
    name: "martlet",
    products: [
        .executable(name: "martlet-listener", targets: ["Listener"]),
        .executable(name: "martlet-lookup", targets: ["Lookup"]),
        .executable(name: "martlet-resolver", targets: ["Resolver"]),
        .executable(name: "martlet-queue", targets: ["Queue"]),
        .executable(name: "martlet-delivery", targets: ["Delivery"]),
        .executable(name: "martlet-keys", targets: ["Keys"]),
        .executable(name: "martletd", targets: ["Parent"]),
        .executable(name: "martletctl", targets: ["Control"]),
        .executable(name: "martlet-mailbox", targets: ["Mailbox"]),
        .executable(name: "martlet-account", targets: ["Account"]),
        .executable(name: "martlet-table", targets: ["Table"]),
    ],
    targets: [
        // The words of mail and the rules about them: no system call, no clock, no randomness.
        core("Bytes"),
        core("Mail", ["Bytes"]),
        core("SMTP", ["Bytes", "Mail"]),
        core("Message", ["Bytes", "Mail"]),
        core("DNS", ["Bytes", "Mail"]),
        core("Authentication", ["Bytes", "Mail"]),
        core("Configuration", ["Bytes", "Mail"]),
        core("Routing", ["Bytes", "Mail", "Configuration"]),
        core("Schedule", ["Bytes", "Mail"]),
        core("IPC", ["Bytes", "Mail"]),

        // Everything with a system call in it.
        library("CEvent", pkgConfig: "libevent", package: "libevent-dev"),
        library("COpenSSL", pkgConfig: "openssl", package: "libssl-dev"),
        library("CZlib", pkgConfig: "zlib", package: "zlib1g-dev"),
        library("CUnbound", pkgConfig: "libunbound", package: "libunbound-dev"),
        library("CSeccomp", pkgConfig: "libseccomp", package: "libseccomp-dev"),
        library("CLMDB", pkgConfig: "lmdb", package: "liblmdb-dev"),
        library("CSQLite", pkgConfig: "sqlite3", package: "libsqlite3-dev"),
        .systemLibrary(name: "CPAM", path: "Sources/System/CPAM", providers: [.apt(["libpam0g-dev", "libcrypt-dev"])]),
        library("CCrypt", pkgConfig: "libcrypt", package: "libcrypt-dev"),
        .target(name: "CPosix", path: "Sources/System/CPosix", cSettings: [.define("_GNU_SOURCE")]),
        system("Posix", ["CPosix", "Mail"], common),
        system("Digest", ["COpenSSL"], common),
        system("Reactor", ["CEvent", "Posix", "Bytes"], onLoop),
        .target(
            name: "CSigner", path: "Sources/System/CSigner",
            cSettings: [.define("_GNU_SOURCE"), .unsafeFlags(["-Wall", "-Wextra", "-Werror"])],
            linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        system("Host", ["CPosix", "CCrypt", "Configuration", "Posix", "Mail"], common),
        system("Launch", ["CPosix", "CSeccomp", "Posix", "IPC", "Mail", "Bytes"], common),
        system("Channel", ["IPC", "Posix", "Reactor", "Launch", "Mail", "Bytes"], onLoop),
        system("TLS", ["CSigner", "Channel", "Configuration", "IPC", "Posix", "Reactor", "Mail", "Bytes"], onLoop),
        system("MapFile", ["CLMDB", "Posix"], common),
        system("Spool", ["CPosix", "COpenSSL", "CZlib", "Posix", "Mail", "Bytes"], quick),

        // Who does what: one folder, one program, one uid, one sandbox each.
        program("Listener", ["TLS", "SMTP", "Message", "Configuration"]),
        program("Lookup", ["SMTP", "Authentication", "Configuration", "Routing"]),
        program("Resolver", ["CUnbound", "DNS"]),
        program("Queue", ["Spool", "Schedule", "Message", "Configuration"]),
        program("Delivery", ["TLS", "SMTP", "Message", "Configuration", "Schedule"]),
        program("Keys", ["COpenSSL", "Configuration"]),
        program("Parent", ["Configuration", "Routing", "Host", "TLS"]),

        // What people run, and what runs for them.
        program("Control", in: "Tools", ["SMTP", "Message", "Host", "Spool", "Configuration", "Routing", "MapFile"]),
        program("Mailbox", in: "Tools", ["CPosix", "Configuration"]),
        program("Account", in: "Tools", ["Host", "Digest", "CPAM"]),
        program("Table", in: "Tools", ["CSQLite", "MapFile", "Configuration", "Routing", "Host"]),

        // The proof. It mirrors the tree above.
        .executableTarget(
            name: "profile-probe", dependencies: ["Launch", "Posix", "IPC", "CSeccomp"],
            path: "Tests/Support/ProfileProbe", swiftSettings: common),
        .executableTarget(
            name: "loop-probe", dependencies: ["Channel", "Reactor", "Posix", "IPC", "Mail", "Bytes"],
            path: "Tests/Support/LoopProbe", swiftSettings: onLoop),
        .executableTarget(
            name: "evil-peer", dependencies: ["Bytes", "Mail", "IPC", "Posix", "Reactor", "Channel", "Launch"],
            path: "Tests/Support/EvilPeer", swiftSettings: onLoop),
        .target(name: "CFuzzer", path: "Tests/Fuzz/CFuzzer"),
        fuzzer("replies", in: "Replies", ["SMTP", "Bytes", "Mail"]),
        fuzzer("answers", in: "Answers", ["DNS", "Bytes", "Mail"]),
        fuzzer("tables", in: "Tables", ["Routing", "Configuration", "Bytes"]),
        fuzzer("configuration", in: "Configuration", ["Configuration"]),
        fuzzer("formats", in: "Formats", ["Configuration", "Mail"]),
        fuzzer("notices", in: "Notices", ["Message", "SMTP", "Bytes", "Mail"]),
        fuzzer("expansion", in: "Expansion", ["Authentication", "Configuration", "Bytes", "Mail"]),
        fuzzer("reception", in: "Reception", ["SMTP", "Message", "Bytes", "Mail"]),
        fuzzer("envelopes", in: "Envelopes", ["SMTP", "Message", "Bytes", "Mail"]),
        .executableTarget(
            name: "bench-rules", dependencies: ["Configuration", "Routing", "Mail"], path: "Tests/Benchmarks/Rules",
            swiftSettings: common),
        .executableTarget(
            name: "bench-tables", dependencies: ["Configuration", "Routing", "Mail"], path: "Tests/Benchmarks/Tables",
            swiftSettings: common),
        .executableTarget(
            name: "spool-bench", dependencies: ["Spool", "Posix", "Mail", "Bytes"],
            path: "Tests/Support/SpoolBench", swiftSettings: common),
        .target(name: "Chance", path: "Tests/Support/Chance", swiftSettings: quick),
        .target(name: "ProbeRunner", dependencies: ["Posix"], path: "Tests/Support/ProbeRunner", swiftSettings: common),
        tests("Bytes", ["Bytes", "Chance"]),
        tests("Mail", ["Mail", "Bytes", "Chance"]),
        tests("SMTP", ["SMTP", "Bytes", "Mail"], resources: ["Transcripts"]),
        tests("Message", ["Message", "Chance", "Bytes", "Mail"]),
        tests("DNS", ["DNS", "Chance", "Bytes", "Mail"]),
        tests("Authentication", ["Authentication", "Bytes", "Mail"]),
        tests("Configuration", ["Configuration", "Chance", "Bytes", "Mail"], resources: ["Samples"]),
        tests("Routing", ["Routing", "Chance", "Configuration", "Bytes", "Mail", "fuzz-tables"]),
        tests("Schedule", ["Schedule", "Mail"]),
        tests("IPC", ["IPC", "Chance", "Bytes", "Mail"], quick),
        tests("Host", ["Host", "Posix"]),
        tests("Launch", ["Launch", "Posix", "IPC", "CPosix", "CSeccomp", "profile-probe"]),
        tests("Reactor", ["ProbeRunner", "loop-probe"]),
        tests("Channel", ["ProbeRunner", "loop-probe"]),
        tests("Spool", ["Spool", "Posix", "CPosix", "Mail", "Bytes"]),
        tests("Crash", ["Spool", "Chance", "Posix", "Mail", "Bytes"], quick),
        tests("Lookup", ["Lookup", "Configuration", "Routing", "IPC", "Mail"]),
        tests("Resolver", ["Resolver", "DNS", "IPC", "Mail"]),
        tests(
            "Delivery",
            ["Delivery", "Posix", "Mail", "IPC", "Bytes", "SMTP", "Message", "Configuration", "Schedule"]),
        tests("Keys", ["Keys", "IPC", "Posix"]),
        tests("Queue", ["Queue", "Chance", "Channel", "Posix", "IPC", "Mail", "Schedule", "Spool"]),
        tests(
            "Listener",
            ["Listener", "Channel", "Chance", "Posix", "Bytes", "IPC", "Mail", "Message", "SMTP", "Configuration"]),
        tests("Parent", ["Parent", "Account", "Digest", "IPC", "Mail", "Configuration", "Launch", "Posix"]),
        tests(
            "Control",
            ["Control", "Host", "MapFile", "IPC", "Mail", "Bytes", "Posix", "Reactor", "Channel", "CEvent"]),
        tests("Mailbox", ["Mailbox", "Configuration", "Launch", "Bytes", "Mail", "IPC", "Posix"]),
        tests("Table", ["Table", "MapFile", "Configuration", "Routing", "Bytes", "CSQLite"]),
        tests("Architecture", []),
        tests("EvilPeer", ["evil-peer"]),
        tests(
            "Fuzz",
            [
                "fuzz-replies", "fuzz-answers", "fuzz-configuration", "fuzz-formats", "fuzz-expansion", "fuzz-notices",
                "fuzz-reception", "fuzz-envelopes",
            ]),
        tests("Integration", []),
    ]
)

// Whoever works on a part builds its tests only, in a fraction of the time: the names of the test targets, with commas.
if let wanted = Context.environment["MARTLET_TESTS"]?.split(separator: ",").map(String.init), !wanted.isEmpty {
    package.targets.removeAll { $0.isTest && !wanted.contains($0.name) }
}

// Whoever only runs it needs nothing of the proof.
if Context.environment["MARTLET_PROGRAMS_ONLY"] != nil {
    package.targets.removeAll { $0.path?.hasPrefix("Tests/") == true }
}
