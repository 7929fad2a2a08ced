// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Mail
import Posix
import Spool

// What the spool alone can do on a disk, beside a bare loop of pwrite and fdatasync:
//
//     spool-bench bare DIRECTORY
//     spool-bench accept DIRECTORY CONNECTIONS MESSAGES
//     spool-bench fill DIRECTORY MESSAGES [close]        ends without a word unless it is told to close
//     spool-bench restart DIRECTORY
//
// Tests/Benchmarks/spool runs them in turn.

let messageSize = 5000
let edge = 5000

func seconds() -> Double {
    var value = timespec()
    clock_gettime(CLOCK_MONOTONIC, &value)
    return Double(value.tv_sec) + Double(value.tv_nsec) / 1e9
}

func cpuSeconds() -> Double {
    var usage = rusage()
    getrusage(RUSAGE_SELF, &usage)
    return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
        + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
}

func residentMebibytes() -> Int {
    let file = try? FileDescriptor.open("/proc/self/statm", O_RDONLY)
    let text = (try? file?.readAll(limit: 200)) ?? nil
    let words = String(decoding: text ?? [], as: UTF8.self).split(separator: " ")
    return words.count > 1 ? (Int(words[1]) ?? 0) * 4 / 1024 : 0
}

func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }

func message(_ id: UInt32) -> SpoolMessage {
    SpoolMessage(
        id: MessageID(id), envelopeCount: 1,
        envelopes: Array("recipient-\(id)@destination.example.org, 200 bytes of what an envelope is".utf8)
            + [UInt8](repeating: 1, count: 130),
        attributes: [UInt8](repeating: 2, count: 120), pieces: [.bytes([UInt8](repeating: 0x61, count: messageSize))])
}

func turn(_ spool: DiskSpool) {
    var waiting = pollfd(fd: spool.wakeDescriptor, events: Int16(POLLIN), revents: 0)
    poll(&waiting, 1, 20_000)
    spool.turn()
}

/// Keeps so many commits under way until all are answered; calls `each` with the number of answers.
func commit(_ spool: DiskSpool, _ count: Int, depth: Int, first: Int = 1, each: (Int) -> Void = { _ in }) {
    var asked = 0
    var answered = 0
    var refused = 0
    while answered < count {
        while asked < count, asked - answered < depth {
            spool.commit(message(UInt32(first + asked))) { result in
                answered += 1
                if case .failure = result { refused += 1 }
            }
            asked += 1
        }
        turn(spool)
        each(answered)
    }
    if refused > 0 { print("\(refused) refused") }
}

func bare(_ directory: borrowing FileDescriptor) throws {
    let size = 16 << 20
    let file = try FileDescriptor.open("bare", O_RDWR | O_CREAT | O_TRUNC, mode: 0o600, in: directory.number)
    try file.writeAll([UInt8](repeating: 0, count: size))
    try file.sync()
    for blocks in [2, 16, 128] {
        let bytes = [UInt8](repeating: 1, count: blocks * 4096)
        let start = seconds()
        var count = 0
        var offset = 0
        while seconds() - start < 2 {
            _ = bytes.withUnsafeBytes { pwrite(file.number, $0.baseAddress, $0.count, off_t(offset)) }
            try file.syncData()
            count += 1
            offset = (offset + bytes.count) % (size - bytes.count)
        }
        print("bare loop, \(blocks * 4) KiB: \(Int(Double(count) / (seconds() - start))) fdatasync/s")
    }
    unlinkat(directory.number, "bare", 0)
}

func run() throws {
    let words = CommandLine.arguments
    guard words.count > 2 else {
        print("usage: spool-bench bare|accept|fill|restart DIRECTORY [NUMBER ...]")
        exit(64)
    }
    let directory = try FileDescriptor.open(words[2], O_RDONLY | O_DIRECTORY)
    let numbers = words.dropFirst(3).compactMap { Int($0) }
    switch words[1] {
    case "bare": try bare(directory)
    case "accept":
        let spool = try DiskSpool.open(directory: directory).spool
        commit(spool, 200, depth: 10)
        let before = spool.statistics
        let start = (seconds(), cpuSeconds())
        commit(spool, numbers[1], depth: numbers[0], first: 1000)
        let time = seconds() - start.0
        let after = spool.statistics
        let count = Double(numbers[1])
        print(
            "\(numbers[0]) at a time: \(Int(count / time)) messages/s, "
                + "\(rounded((cpuSeconds() - start.1) / count * 1000)) CPU s/1000, "
                + "\(rounded(Double(after.batches - before.batches) / count)) fdatasync and "
                + "\((after.bytes - before.bytes) / numbers[1]) bytes a message")
        spool.close()
    case "fill":
        let spool = try DiskSpool.open(directory: directory).spool
        let total = numbers[0]
        var first = 0.0
        var last = 0.0
        let start = seconds()
        commit(spool, total, depth: 100) { answered in
            if first == 0, answered >= edge { first = seconds() - start }
            if last == 0, answered >= total - edge { last = seconds() }
        }
        let end = seconds()
        print(
            "\(total) queued in \(rounded(end - start)) s: first \(edge) at \(Int(Double(edge) / first))/s, "
                + "last \(edge) at \(Int(Double(edge) / (end - last)))/s, \(residentMebibytes()) MiB")
        if words.last == "close" { spool.close() }
        fflush(nil)
        _exit(0)
    case "restart":
        let start = seconds()
        let opened = try DiskSpool.open(directory: directory)
        var answered: Double?
        opened.spool.commit(message(4_000_000_000)) { _ in answered = seconds() - start }
        var found: RecoveredSpool?
        while found == nil {
            found = try opened.recovery.step()
            opened.spool.turn()
        }
        let read = seconds() - start
        while answered == nil { turn(opened.spool) }
        print(
            "restart with \(found?.messages.count ?? 0): first accepted after \(rounded(answered ?? 0)) s, all known after "
                + "\(rounded(read)) s, \(residentMebibytes()) MiB")
        opened.spool.close()
    default: exit(64)
    }
}

do { try run() } catch { print("\(error)") }
