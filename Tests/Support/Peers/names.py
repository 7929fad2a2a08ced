#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A small name server for tests: answers what its arguments say, and that there is nothing else.

usage: names.py ADDRESS PORT [NAME MX PREFERENCE HOST | NAME A ADDRESS | NAME TXT TEXT] ...   (one record per argument)
"""
import socket
import struct
import sys

MX, A, SOA, TXT = 15, 1, 6, 16


def encode(name):
    labels = [label for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def record(name, kind, data):
    return encode(name) + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def main():
    zone = {}
    for argument in sys.argv[3:]:
        words = argument.split()
        name = words[0].lower()
        if words[1] == "MX":
            data = struct.pack("!H", int(words[2])) + encode(words[3])
            zone.setdefault(name, {}).setdefault(MX, []).append(data)
        elif words[1] == "TXT":
            text = argument.split(" ", 2)[2].encode()
            data = b"".join(bytes([len(text[at:at + 255])]) + text[at:at + 255] for at in range(0, len(text), 255))
            zone.setdefault(name, {}).setdefault(TXT, []).append(data)
        else:
            zone.setdefault(name, {}).setdefault(A, []).append(socket.inet_aton(words[2]))
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((sys.argv[1], int(sys.argv[2])))
    print("ready", flush=True)
    while True:
        packet, client = server.recvfrom(4096)
        try:
            position, labels = 12, []
            while packet[position]:
                labels.append(packet[position + 1:position + 1 + packet[position]].decode())
                position += packet[position] + 1
            question = packet[12:position + 5]
            (kind,) = struct.unpack("!H", packet[position + 1:position + 3])
        except (IndexError, UnicodeDecodeError, struct.error):
            continue
        name = ".".join(labels).lower()
        there = zone.get(name)
        answers = [record(name, kind, data) for data in (there or {}).get(kind, [])]
        soa = record("example.org", SOA, encode("ns.example.org") + encode("root.example.org") + struct.pack("!5I", *[60] * 5))
        header = packet[:2] + struct.pack(
            "!HHHHH", 0x8580 | (0 if there is not None else 3), 1, len(answers), 0 if answers else 1, 0)
        server.sendto(header + question + (b"".join(answers) if answers else soa), client)
        print("asked %s %d" % (name, kind), flush=True)


main()
