// SPDX-License-Identifier: ISC

import CLMDB
import Glibc
import Posix

/// A database file as makemap writes it (LMDB, one file, no lock file), open for reading. A writer never changes such a
/// file but puts another in its place, so what is read here is one state, to the end.
public final class MapReader {
    private let environment: OpaquePointer
    private let transaction: OpaquePointer
    private let database: MDB_dbi

    public init(_ path: String) throws(MapError) {
        try Self.refuseBerkeley(path)
        var environment: OpaquePointer?
        try MapError.check("mdb_env_create", mdb_env_create(&environment))
        guard let environment else { throw .database("mdb_env_create") }
        var transaction: OpaquePointer?
        var database: MDB_dbi = 0
        do throws(MapError) {
            let flags = UInt32(MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS)
            try MapError.check("open", mdb_env_open(environment, path, flags, 0))
            try MapError.check("begin", mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &transaction))
            guard let transaction else { throw MapError.database("begin") }
            do throws(MapError) {
                try MapError.check("open", mdb_dbi_open(transaction, nil, 0, &database))
            } catch {
                mdb_txn_abort(transaction)
                throw error
            }
            self.environment = environment
            self.transaction = transaction
            self.database = database
        } catch {
            mdb_env_close(environment)
            throw error
        }
    }

    deinit {
        mdb_txn_abort(transaction)
        mdb_env_close(environment)
    }

    // The magic numbers of its hash and btree files, which stand behind the page's header, or in front in version 1.85.
    private static let berkeleyMagic: Set<UInt32> = [0x061561, 0x053162]
    private static let berkeleyOffsets = [0, 12]

    private static func refuseBerkeley(_ path: String) throws(MapError) {
        let start: [UInt8]
        do {
            start = try FileDescriptor.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY).read(at: 0, count: 16)
        } catch {
            throw .system(error)
        }
        for offset in berkeleyOffsets where start.count >= offset + 4 {
            let bytes = start[offset..<offset + 4]
            let little = bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
            if berkeleyMagic.contains(little) || berkeleyMagic.contains(little.byteSwapped) {
                throw .berkeley(path: path)
            }
        }
    }

    /// The value of `key`; nil when it has none.
    public func value(of key: [UInt8]) throws(MapError) -> [UInt8]? {
        // A key of no bytes, or one longer than any that was written, is an error to LMDB and simply not there to us.
        guard !key.isEmpty, key.count <= MapWriter.longestKey else { return nil }
        var key = key
        var value = MDB_val()
        let result = key.withUnsafeMutableBytes { buffer in
            var name = MDB_val(mv_size: buffer.count, mv_data: buffer.baseAddress)
            return mdb_get(transaction, database, &name, &value)
        }
        if result == MDB_NOTFOUND { return nil }
        try MapError.check("get", result)
        return Self.bytes(value)
    }

    /// Every entry, in ascending order of keys.
    public func forEach(_ body: (_ key: [UInt8], _ value: [UInt8]) -> Void) throws(MapError) {
        var cursor: OpaquePointer?
        try MapError.check("cursor", mdb_cursor_open(transaction, database, &cursor))
        guard let cursor else { return }
        defer { mdb_cursor_close(cursor) }
        var key = MDB_val()
        var value = MDB_val()
        var result = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
        while result == 0 {
            body(Self.bytes(key), Self.bytes(value))
            result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        }
        if result != MDB_NOTFOUND { try MapError.check("get", result) }
    }

    /// The first entry behind `key`, or the first of all; nil at the end.
    public func entry(after key: [UInt8]?) throws(MapError) -> (key: [UInt8], value: [UInt8])? {
        var cursor: OpaquePointer?
        try MapError.check("cursor", mdb_cursor_open(transaction, database, &cursor))
        guard let cursor else { return nil }
        defer { mdb_cursor_close(cursor) }
        var name = MDB_val()
        var value = MDB_val()
        var result: Int32
        if var last = key {
            result = last.withUnsafeMutableBytes { buffer in
                name = MDB_val(mv_size: buffer.count, mv_data: buffer.baseAddress)
                return mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE)
            }
            if result == 0, Self.bytes(name) == last { result = mdb_cursor_get(cursor, &name, &value, MDB_NEXT) }
        } else {
            result = mdb_cursor_get(cursor, &name, &value, MDB_FIRST)
        }
        if result == MDB_NOTFOUND { return nil }
        try MapError.check("get", result)
        return (Self.bytes(name), Self.bytes(value))
    }

    private static func bytes(_ value: MDB_val) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
    }
}
