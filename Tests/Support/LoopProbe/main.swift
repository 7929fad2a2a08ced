// SPDX-License-Identifier: ISC
import Channel
import Reactor
Loop.run { Loop.stop() }
