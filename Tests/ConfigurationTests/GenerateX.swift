import Configuration
import Glibc
import Testing
@Test func generate() throws {
    for name in Samples.names {
        let text = try #require(Samples.read("\(name).conf"))
        let a = ServerConfiguration.parse(text, named: "\(name).conf", options: ParseOptions(unsupported: []))
        let b = ServerConfiguration.parse(text, named: "\(name).conf")
        func w(_ n: String, _ s: String) {
            if s.isEmpty { return }; let f = fopen("/tmp/h-config/out/\(n)", "w"); fputs(s, f); fclose(f)
        }
        if let c = a.configuration {
            w("\(name).ok", c.printed(for: .all))
        } else {
            w("\(name).bad", a.errors.map { "\($0)\n" }.joined())
        }
        w("\(name).err", b.errors.map { "\($0)\n" }.joined())
    }
}
