// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Host
import IPC
import Launch
import Posix
import Routing

/// One table from the first line to the last: questions on standard input, answers on standard output, one after the
/// other. Nobody else waits for this process, so it may wait for the disk.
enum TableServer {
    private static let descriptors: UInt64 = 64

    /// The status to exit with.
    static func run(_ arguments: TableArguments) -> Int32 {
        do {
            let source: any TableSource
            var directories: [String] = []
            switch arguments.kind {
            case .database:
                directories = [directory(of: arguments.path)]
                try enterSandbox(directories)
                source = try DatabaseSource(arguments.path, arguments.delimiters)
            case .sqlite:
                let settings = try SQLiteSettings(file: arguments.path)
                directories = [directory(of: arguments.path), directory(of: settings.path)]
                try enterSandbox(directories)
                source = try SQLiteSource(arguments.path)
            }
            try serve(source)
            return 0
        } catch {
            complain("\(error)")
            return 1
        }
    }

    private static func complain(_ text: String) { ThisProcess.say("martlet-table: \(text)\n") }

    private static func directory(of path: String) -> String {
        let parts = path.split(separator: "/").dropLast()
        return "/" + parts.joined(separator: "/")
    }

    // The directories and not the files: a new file is put where the old one was.
    private static func enterSandbox(_ directories: [String]) throws {
        let opened = try directories.map { try OpenDirectory($0) }
        let paths = opened.map { PermittedPath(descriptor: $0.descriptor.number, .read) }
        let report = try withExtendedLifetime(opened) {
            try confine(SandboxProfile.profile(for: .table), paths: paths, descriptors: descriptors)
        }
        for shortcoming in report.shortcomings where shortcoming != .noLandlock { complain("\(shortcoming)") }
    }

    private final class OpenDirectory {
        let descriptor: FileDescriptor
        init(_ path: String) throws(SourceFailure) {
            do {
                descriptor = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)
            } catch {
                throw SourceFailure("\(path): \(error)")
            }
        }
    }

    // MARK: The dialogue

    private static func serve(_ source: any TableSource) throws(SourceFailure) {
        let input = FileDescriptor(owning: 0)
        var buffer: [UInt8] = []
        var output: [UInt8] = []
        while true {
            let chunk = try read(input)
            // The server has gone, or wants this table no more.
            if chunk.isEmpty { return }
            buffer += chunk
            var start = 0
            while let end = buffer[start...].firstIndex(of: .lineFeed) {
                answer(try request(buffer[start..<end]), source, &output)
                start = end + 1
            }
            buffer.removeFirst(start)
            guard buffer.count <= TableRequest.longestLine else { throw SourceFailure("a line that is too long") }
            try write(output)
            output.removeAll(keepingCapacity: true)
        }
    }

    private static func request(_ line: ArraySlice<UInt8>) throws(SourceFailure) -> TableRequest {
        do {
            return try TableRequest(parsing: line.span)
        } catch {
            throw SourceFailure("not the protocol of tables 0.1: \(error)")
        }
    }

    private static func answer(_ request: TableRequest, _ source: any TableSource, _ output: inout [UInt8]) {
        switch request {
        case .setting:
            break
        case .ready:
            for service in source.services { output.append("register|\(service.rawValue)\n") }
            output.append("register|ready\n")
        case .update(let id):
            do throws(SourceFailure) {
                try source.update()
                output.append("update-result|\(id)|ok\n")
            } catch {
                output.append("update-result|\(id)|error|\(words(error))\n")
            }
        case .check(let service, let id, let key):
            do throws(SourceFailure) {
                let isThere = try source.contains(key, for: service)
                output.append("check-result|\(id)|\(isThere ? "found" : "not-found")\n")
            } catch {
                output.append("check-result|\(id)|error|\(words(error))\n")
            }
        case .lookup(let service, let id, let key):
            append("lookup-result|\(id)|", &output) { () throws(SourceFailure) in
                try source.value(of: key, for: service)
            }
        case .fetch(let service, let id):
            append("fetch-result|\(id)|", &output) { () throws(SourceFailure) in try source.next(for: service) }
        }
    }

    private static func append(
        _ start: String, _ output: inout [UInt8], _ find: () throws(SourceFailure) -> String?
    ) {
        output.append(start)
        do throws(SourceFailure) {
            guard let value = try find() else { return output.append("not-found\n" as StaticString) }
            // A value that ends the line would begin another answer.
            guard !value.isEmpty, !value.utf8.contains(where: { $0 == .lineFeed || $0 == .carriageReturn || $0 == 0 })
            else { throw SourceFailure("a value that is empty or has a line end in it") }
            output.append("found|\(value)\n")
        } catch {
            output.append("error|\(words(error))\n")
        }
    }

    private static func words(_ failure: SourceFailure) -> String { VisibleText(failure.description).description }

    private static func read(_ input: borrowing FileDescriptor) throws(SourceFailure) -> [UInt8] {
        var failure: SystemError?
        let chunk = [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
            let result = FileDescriptor.retrying { Glibc.read(input.number, buffer.baseAddress, buffer.count) }
            if result < 0 { failure = SystemError("read") }
            count = max(0, result)
        }
        if let failure { throw SourceFailure("\(failure)") }
        return chunk
    }

    private static func write(_ output: [UInt8]) throws(SourceFailure) {
        var rest = output[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { buffer in
                FileDescriptor.retrying { Glibc.write(1, buffer.baseAddress, buffer.count) }
            }
            guard count > 0 else { throw SourceFailure("\(SystemError("write"))") }
            rest = rest.dropFirst(count)
        }
    }
}
