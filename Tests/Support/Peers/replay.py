#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Replays what strace saw a process do to the files below a directory, and compares the result with what is there.

usage: replay.py TRACE BEFORE DIRECTORY
TRACE is of `strace -f -y -xx -s N`, BEFORE a copy of DIRECTORY from before. The calls are those that the crash matrix
models (Tests/CrashTests/DiskLog.swift); any other one that changes a file is told, and so is every difference.
"""
import os
import re
import sys

trace, before, directory = sys.argv[1:4]
KNOWN = {"openat", "pwrite64", "fallocate", "ftruncate", "fdatasync", "fsync", "renameat", "renameat2", "unlinkat",
         "sync_file_range"}
files, counts, wrong = {}, {}, []


def load(root):
    found = {}
    for path, _, names in os.walk(root):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                found[os.path.relpath(os.path.join(path, name), root)] = bytearray(file.read())
    return found


def plain(text):
    return bytes.fromhex(text.replace("\\x", "")).decode("latin-1")


def below(path):
    # Queue has the spool as its root, in a mount namespace of its own: the tracer may see more of a path, or less.
    found = re.search(r"(?:^|/)((?:journal|bodies|aside)(?:/[^/]+)?|lock)$", path.removesuffix(" (deleted)"))
    return found.group(1) if found else None


def descriptor(text):
    found = re.match(r"(-?\d+|AT_FDCWD)<(.*?)>(?=[,)]|$)", text)
    # With -xx the path of a descriptor is in hexadecimal, too.
    path = found.group(2) if found else ""
    return plain(path) if path.startswith("\\x") else path


def target(directory_text, name_text):
    base = descriptor(directory_text)
    name = plain(re.match(r'"((?:\\x[0-9a-f]{2})*)"', name_text).group(1))
    return below(name if name.startswith("/") else base + "/" + name)


def lines():
    waiting = {}
    for line in open(trace, encoding="latin-1"):
        pid, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            waiting[pid] = rest[:-len("<unfinished ...>")].rstrip()
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", rest)
        if resumed:
            rest = waiting.pop(pid, "") + resumed.group(1)
        yield rest


files = load(before)
for line in lines():
    call = re.match(r"(\w+)\((.*)\)\s+= (-?\d+|\?)", line)
    if not call or call.group(3).startswith(("-", "?")):
        continue
    name, words, result = call.group(1), call.group(2), call.group(3)
    parts = words.split(", ")
    if name == "openat":
        path = target(parts[0], parts[1])
        if path is None or "O_CREAT" not in words:
            continue
        if path not in files or "O_TRUNC" in words:
            files[path] = bytearray()
    elif name.startswith("rename"):
        old, new = target(parts[0], parts[1]), target(parts[2], parts[3])
        if old is None and new is None:
            continue
        files[new] = files.pop(old)
    elif name == "unlinkat":
        path = target(parts[0], parts[1])
        if path is None:
            continue
        files.pop(path, None)
    else:
        path = below(descriptor(words))
        if path is None:
            continue
        if name == "pwrite64":
            data = re.match(r'.*?, "((?:\\x[0-9a-f]{2})*)"(\.\.\.)?, (\d+), (\d+)$', words)
            if not data or data.group(2):
                wrong.append("a write that was not traced whole: " + words[:80])
                continue
            content = bytes.fromhex(data.group(1).replace("\\x", ""))[:int(result)]
            offset, file = int(data.group(4)), files.setdefault(path, bytearray())
            if len(file) < offset + len(content):
                file.extend(bytes(offset + len(content) - len(file)))
            file[offset:offset + len(content)] = content
        elif name == "fallocate":
            size = int(parts[2]) + int(parts[3])
            files[path].extend(bytes(max(0, size - len(files[path]))))
        elif name == "ftruncate":
            size, file = int(parts[1]), files[path]
            files[path] = file[:size] + bytes(max(0, size - len(file)))
    if name not in KNOWN:
        wrong.append("a call that the model does not know: " + line[:120])
    counts[name] = counts.get(name, 0) + 1

after = load(directory)
for path in sorted(set(files) | set(after)):
    if files.get(path) != after.get(path):
        wrong.append("%s is not what the calls make of it" % path)
print("calls " + " ".join("%s=%d" % item for item in sorted(counts.items())))
for text in wrong[:20]:
    print("wrong " + text)
sys.exit(1 if wrong else 0)
