// SPDX-License-Identifier: ISC

import Host
import Reactor

/// The life of the server process.
enum Server {
    static func run(_ invocation: Invocation) async {
        if invocation.task == .serveInBackground { ThisProcess.outliveParent() }
        do {
            let house = try House(invocation) {
                if invocation.task == .serveInBackground { Background.sayReady() }
            }
            house.open()
            await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in
                // The house stands until the loop ends.
                keep(house)
            }
        } catch {
            ThisProcess.say("martletd: \(error)\n")
            Loop.stop(status: 1)
        }
    }

    private static var standing: House?
    private static func keep(_ house: House) { standing = house }
}
