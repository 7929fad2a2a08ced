// SPDX-License-Identifier: ISC

import Channel
import IPC

Child.run(as: [.resolver]) { child in
    try ResolverProcess(child)
}
