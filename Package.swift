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
]

/// One thread, one loop: everything in these targets runs on the loop unless it says otherwise.
let onLoop = common + [.defaultIsolation(MainActor.self)]

func core(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/Core/\(name)", swiftSettings: common)
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

let package = Package(
    name: "martlet",
    products: [
        .executable(name: "martlet-listener", targets: ["Listener"])
    ],
    targets: [
        // The words of mail and the rules about them: no system call, no clock, no randomness.
        core("Bytes"),
        core("Mail", ["Bytes"]),
        core("SMTP", ["Bytes", "Mail"]),
        core("Message", ["Bytes", "Mail"]),
        core("DNS", ["Bytes", "Mail"]),
        core("Configuration", ["Bytes", "Mail"]),
        core("Routing", ["Bytes", "Mail", "Configuration"]),
        core("Schedule", ["Bytes", "Mail"]),
        core("IPC", ["Bytes", "Mail"]),

        // Everything with a system call in it.
        library("CEvent", pkgConfig: "libevent", package: "libevent-dev"),
        library("COpenSSL", pkgConfig: "openssl", package: "libssl-dev"),
        library("CUnbound", pkgConfig: "libunbound", package: "libunbound-dev"),
        library("CSeccomp", pkgConfig: "libseccomp", package: "libseccomp-dev"),
        .target(name: "CPosix", path: "Sources/System/CPosix", cSettings: [.define("_GNU_SOURCE")]),
        system("Posix", ["CPosix", "Mail"], common),
        system("Reactor", ["CEvent", "Posix", "Bytes"], onLoop),
        system("Launch", ["CPosix", "CSeccomp", "Posix", "IPC", "Mail", "Bytes"], common),
        system("Channel", ["IPC", "Posix", "Reactor", "Launch", "Mail", "Bytes"], onLoop),
        system("Spool", ["CPosix", "Posix", "Mail", "Bytes"], common),

        // Who does what: one folder, one program, one uid, one sandbox each.
        program("Listener", ["SMTP", "Message", "Configuration"]),
    ]
)
