#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A program behind a table, for tests: speaks the external table protocol 0.1 on its standard input and output.

usage: table.py FILE

Lines of FILE:
  services NAME ...            what is registered; all services of the entries below when there is no such line
  SERVICE KEY [VALUE ...]      an entry; KEY may be * for any
  fetch SERVICE VALUE          an element for fetch, in this order
  mode MODE ...                how it misbehaves:
    dumb                         ends before it has said anything, as a program of an older protocol does
    unknown-service              registers one that does not exist
    hang SERVICE                 never answers questions for the service
    nonsense KEY                 answers a question for that key with something else
    die KEY                      ends at a question for that key
    error KEY                    answers a question for that key with an error
    refuse-update                answers an update with an error
What it hears is appended to FILE.log, where that can be written.
"""
import sys


class Table:
    def __init__(self, path):
        self.path = path
        self.read()

    def read(self):
        self.entries, self.elements, self.modes, self.services = {}, {}, [], None
        for line in open(self.path):
            words = line.rstrip("\n").split(" ", 2)
            if words[0] == "services":
                self.services = line.split()[1:]
            elif words[0] == "mode":
                self.modes.append(line.split()[1:])
            elif words[0] == "fetch":
                self.elements.setdefault(words[1], []).append(words[2])
            elif len(words) > 1:
                self.entries[(words[0], words[1])] = words[2] if len(words) > 2 else ""
        if self.services is None:
            self.services = sorted({service for service, _ in self.entries} | set(self.elements))
        self.turns = {}

    def has_mode(self, *words):
        return list(words) in self.modes

    def note(self, line):
        try:
            with open(self.path + ".log", "a") as log:
                log.write(line)
        except OSError:
            pass

    def find(self, service, key):
        return self.entries.get((service, key), self.entries.get((service, "*")))


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main():
    table = Table(sys.argv[1])
    if table.has_mode("dumb"):
        sys.exit(1)
    while True:
        line = sys.stdin.readline()
        if not line:
            return
        table.note(line)
        if line == "config|ready\n":
            break
    if table.has_mode("unknown-service"):
        say("register|weather")
    for service in table.services:
        say("register|" + service)
    say("register|ready")
    while True:
        line = sys.stdin.readline()
        if not line:
            return
        table.note(line)
        _, _, _, _, verb, rest = line.rstrip("\n").split("|", 5)
        if verb == "update":
            if table.has_mode("refuse-update"):
                say("update-result|%s|error|not today" % rest)
            else:
                table.read()
                say("update-result|%s|ok" % rest)
            continue
        service, rest = rest.split("|", 1)
        if table.has_mode("hang", service):
            continue
        if verb == "fetch":
            elements = table.elements.get(service, [])
            if not elements:
                say("fetch-result|%s|not-found" % rest)
                continue
            turn = table.turns.get(service, 0)
            table.turns[service] = turn + 1
            say("fetch-result|%s|found|%s" % (rest, elements[turn % len(elements)]))
            continue
        identifier, key = rest.split("|", 1)
        if table.has_mode("die", key):
            return
        if table.has_mode("nonsense", key):
            say("%s-result|%s|perhaps" % (verb, identifier))
            continue
        if table.has_mode("error", key):
            say("%s-result|%s|error|the disk is on fire" % (verb, identifier))
            continue
        value = table.find(service, key)
        if value is None:
            say("%s-result|%s|not-found" % (verb, identifier))
        elif verb == "check":
            say("check-result|%s|found" % identifier)
        else:
            say("lookup-result|%s|found|%s" % (identifier, value))


main()
