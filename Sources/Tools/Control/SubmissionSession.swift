enum SubmissionSession { static func run(_ a: [String]) async -> Int32 { 1 } }
