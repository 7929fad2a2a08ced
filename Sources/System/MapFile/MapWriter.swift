// SPDX-License-Identifier: ISC

import CLMDB
import Glibc
import Posix

/// Writes a database file beside its place and then puts it there in one step: who reads sees the old one or the new one.
public final class MapWriter {
    /// What the library is built for.
    public static let longestKey = 511

    /// Who a new file belongs to and who may read it: like the file that was there, else like the text it is made of.
    public struct Ownership: Hashable, Sendable {
        let owner: uid_t
        let group: gid_t
        let mode: mode_t

        /// As those of the file at `path`; nil when there is none.
        public init?(of path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            owner = status.st_uid
            group = status.st_gid
            mode = status.st_mode & 0o666
        }

        /// Of a file that only its maker may read.
        public static var ofCaller: Ownership { Ownership(owner: geteuid(), group: getegid(), mode: 0o600) }

        private init(owner: uid_t, group: gid_t, mode: mode_t) {
            self.owner = owner
            self.group = group
            self.mode = mode
        }
    }

    private let path: String
    private let temporary: String
    private let environment: OpaquePointer
    private let transaction: OpaquePointer
    private let database: MDB_dbi
    private var isFinished = false

    /// Begins a file for entries of `bytes` bytes together, `count` of them.
    public init(_ path: String, count: Int, bytes: Int) throws(MapError) {
        self.path = path
        temporary = "\(path).\(getpid())"
        unlink(temporary)
        var environment: OpaquePointer?
        try MapError.check("mdb_env_create", mdb_env_create(&environment))
        guard let environment else { throw .database("mdb_env_create") }
        var transaction: OpaquePointer?
        var database: MDB_dbi = 0
        do throws(MapError) {
            // Pages that are filled in order are nearly full; the room is of addresses, not of the disk.
            let room = bytes * 3 + count * 64 + (16 << 20)
            try MapError.check("mdb_env_set_mapsize", mdb_env_set_mapsize(environment, room & ~0xFFFF))
            let flags = UInt32(MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC | MDB_NOTLS)
            try MapError.check("open", mdb_env_open(environment, temporary, flags, 0o600))
            try MapError.check("begin", mdb_txn_begin(environment, nil, 0, &transaction))
            guard let transaction else { throw MapError.database("begin") }
            do throws(MapError) {
                try MapError.check("open", mdb_dbi_open(transaction, nil, UInt32(MDB_CREATE), &database))
            } catch {
                mdb_txn_abort(transaction)
                throw error
            }
            self.environment = environment
            self.transaction = transaction
            self.database = database
        } catch {
            mdb_env_close(environment)
            unlink(temporary)
            throw error
        }
    }

    deinit {
        guard !isFinished else { return }
        mdb_txn_abort(transaction)
        mdb_env_close(environment)
        unlink(temporary)
    }

    /// Adds an entry; each key is greater than the one before.
    public func append(_ key: Span<UInt8>, _ value: Span<UInt8>) throws(MapError) {
        guard key.count <= Self.longestKey else {
            throw .longKey(key.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) })
        }
        let result = key.withUnsafeBytes { keyBytes in
            value.withUnsafeBytes { valueBytes in
                // LMDB reads through these pointers and writes through none.
                var name = MDB_val(
                    mv_size: keyBytes.count, mv_data: UnsafeMutableRawPointer(mutating: keyBytes.baseAddress))
                var data = MDB_val(
                    mv_size: valueBytes.count, mv_data: UnsafeMutableRawPointer(mutating: valueBytes.baseAddress))
                return mdb_put(transaction, database, &name, &data, UInt32(MDB_APPEND))
            }
        }
        try MapError.check("put", result)
    }

    /// Makes all of it durable and puts it in its place.
    public func finish(_ ownership: Ownership) throws(MapError) {
        isFinished = true
        do {
            let committed = mdb_txn_commit(transaction)
            let synced = committed == 0 ? mdb_env_sync(environment, 1) : 0
            mdb_env_close(environment)
            try MapError.check("commit", committed)
            try MapError.check("sync", synced)
            try replace(ownership)
        } catch {
            unlink(temporary)
            throw error
        }
    }

    private func replace(_ ownership: Ownership) throws(MapError) {
        do {
            let file = try FileDescriptor.open(temporary, O_RDONLY | O_NOFOLLOW)
            if geteuid() == 0 {
                try SystemError.check("fchown", fchown(file.number, ownership.owner, ownership.group))
            }
            try SystemError.check("fchmod", fchmod(file.number, ownership.mode))
            try file.sync()
            try SystemError.check("rename", rename(temporary, path))
            let parts = path.split(separator: "/", omittingEmptySubsequences: false)
            let directory = parts.count == 1 ? "." : parts.dropLast().joined(separator: "/") + "/"
            try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY).sync()
        } catch {
            throw .system(error)
        }
    }
}
