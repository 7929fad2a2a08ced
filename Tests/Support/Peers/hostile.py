#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""SMTP servers that no client should have to meet; says on standard output what happens.

usage: hostile.py ADDRESS MODE ...   (one server for each mode, on a port of its own: `ready MODE PORT`)

flood        answers EHLO with 10 MB without a line end
endless      answers EHLO with continuation lines for ever
bare-lf      ends its lines with LF alone, and takes mail
nul          has NUL in its replies, and takes mail
code         answers EHLO with a code that is none
letters      greets with words
silent       never says anything
every-byte   sends one byte more with each connection, and closes then; takes mail when it gets so far
slow         answers everything after five seconds
"""
import os
import socket
import sys
import threading
import time

lock = threading.Lock()


def say(text):
    with lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


class Closed(Exception):
    pass


class Server:
    def __init__(self, mode, connection, number):
        self.mode, self.connection, self.number = mode, connection, number
        self.stream = connection.makefile("rb")
        self.budget = number if mode == "every-byte" else None

    def send(self, data):
        if self.mode == "slow":
            time.sleep(5)
        if self.budget is not None:
            part = data[:self.budget]
            self.budget -= len(part)
            self.connection.sendall(part)
            if self.budget == 0:
                raise Closed()
            return
        self.connection.sendall(data)

    def reply(self, text):
        end = b"\n" if self.mode == "bare-lf" else b"\r\n"
        self.send(text.replace(b" ", b" \0" if self.mode == "nul" else b" ", 1) + end)

    def hello(self):
        if self.mode == "flood":
            for _ in range(160):
                self.send(b"2" * 65536)
            raise Closed()
        if self.mode == "endless":
            while True:
                self.send(b"250-and on it goes\r\n" * 1000)
        self.reply(b"999 what" if self.mode == "code" else b"250 h")

    def run(self):
        if self.mode == "silent":
            self.stream.read()
            return
        self.reply(b"be greeted" if self.mode == "letters" else b"220 h")
        while True:
            line = self.stream.readline(70000)
            if not line:
                return
            verb = line[:4].upper()
            if verb in (b"EHLO", b"HELO"):
                self.hello()
            elif verb == b"DATA":
                self.reply(b"354 go")
                while True:
                    line = self.stream.readline(1 << 20)
                    if not line:
                        return
                    if line == b".\r\n":
                        break
                say("message %s %d" % (self.mode, self.number))
                self.reply(b"250 ok")
            elif verb == b"QUIT":
                self.reply(b"221 bye")
                return
            else:
                self.reply(b"250 ok")


def serve(mode, connection, number):
    try:
        Server(mode, connection, number).run()
    except (Closed, OSError):
        pass
    finally:
        connection.close()
        say("closed %s %d" % (mode, number))


def listen(mode, listener):
    number = 0
    while True:
        connection, _ = listener.accept()
        number += 1
        say("connect %s %d" % (mode, number))
        threading.Thread(target=serve, args=(mode, connection, number), daemon=True).start()


def main():
    for mode in sys.argv[2:]:
        listener = socket.create_server((sys.argv[1], 0), backlog=64)
        say("ready %s %d" % (mode, listener.getsockname()[1]))
        threading.Thread(target=listen, args=(mode, listener), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


main()
