// SPDX-License-Identifier: ISC

import DNS
import Mail

/// Who answers a question about one name and one type of record.
protocol QuestionDesk {
    /// nil: no answer in time, or one that cannot be read.
    func answer(to name: String, _ type: RecordType, patienceMilliseconds: UInt64) async -> Answer?
}
