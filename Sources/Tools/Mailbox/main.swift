// SPDX-License-Identifier: ISC

import Reactor

Loop.run { AgentProcess.begin() }
