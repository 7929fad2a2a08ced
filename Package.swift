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

let package = Package(
    name: "martlet",
    targets: [
        // The words of mail and the rules about them: no system call, no clock, no randomness.
        core("Bytes"),
        core("Mail", ["Bytes"]),
        core("IPC", ["Bytes", "Mail"]),

        // Everything with a system call in it.
        .systemLibrary(
            name: "CEvent", path: "Sources/System/CEvent", pkgConfig: "libevent", providers: [.apt(["libevent-dev"])]),
        .systemLibrary(
            name: "COpenSSL", path: "Sources/System/COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CUnbound", path: "Sources/System/CUnbound", pkgConfig: "libunbound",
            providers: [.apt(["libunbound-dev"])]),
        .systemLibrary(
            name: "CSeccomp", path: "Sources/System/CSeccomp", pkgConfig: "libseccomp",
            providers: [.apt(["libseccomp-dev"])]),
        .target(name: "CPosix", path: "Sources/System/CPosix", cSettings: [.define("_GNU_SOURCE")]),
        .target(
            name: "Posix", dependencies: ["CPosix", "Mail"], path: "Sources/System/Posix", swiftSettings: common),
        .target(
            name: "Reactor", dependencies: ["CEvent", "Posix", "Bytes"], path: "Sources/System/Reactor",
            swiftSettings: onLoop),
    ]
)
