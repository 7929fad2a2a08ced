// SPDX-License-Identifier: ISC

import CFuzzer
import Glibc

// What clients send, part by part: fuzz-reception PART [what the fuzzer of the compiler takes].

let parts: [String: @Sendable ([UInt8]) -> Void] = [
    "commands": Commands.look, "parameters": Commands.lookAtParameters, "claims": Commands.lookAtClaims,
    "data": Content.lookAtData, "chunks": Content.lookAtChunks, "header": Content.lookAtHeader,
    "proofs": Proofs.look, "proxy": Proxies.look,
]

guard CommandLine.argc > 1, parts[CommandLine.arguments[1]] != nil else {
    print("usage: fuzz-reception \(parts.keys.sorted().joined(separator: "|")) ...")
    exit(64)
}

// Looked up each time, since what is called from C holds nothing.
let part = CommandLine.arguments[1]

// The part stands where the fuzzer has its own name.
let status = martlet_fuzz(CommandLine.argc - 1, CommandLine.unsafeArgv + 1) { pointer, count in
    parts[part]?(Array(UnsafeBufferPointer(start: pointer, count: count)))
    return 0
}
exit(status)
