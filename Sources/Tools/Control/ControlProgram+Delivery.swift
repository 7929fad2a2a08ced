// SPDX-License-Identifier: ISC

import IPC
import Mail

extension ControlProgram {
    func showDelivery(_ view: DeliveryView) async throws(Failure) {
        var records: [[ControlField]] = []
        _ = try await ask("relay", .showDelivery(view)) { part in
            if case .record(let fields) = part { records.append(fields) }
        }
        if view == .destinations {
            var queued: [[ControlField]] = []
            _ = try await ask("queue", .showDelivery(view)) { part in
                if case .record(let fields) = part { queued.append(fields) }
            }
            records = DeliveryRows.joined(queued: queued, relayed: records)
        }
        switch form {
        case .text: say(records.map { DeliveryRows.line($0, view) }.joined())
        case .json: array(records)
        }
    }
}
