#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Clients of a listener with immediate TLS, many at a time.

usage: tls.py PORT CAFILE crowd COUNT     COUNT handshakes begin at once; then orders come on standard input:
                                          `drop N` closes N of them, `finish` drives the others to their end
       tls.py PORT CAFILE loop            one handshake and greeting after the other until standard input ends
       tls.py PORT CAFILE proxied         as a proxy: PROXY header and first record in two segments, cut at every place
       tls.py PORT CAFILE logins COUNT USER PASSWORD
                                          COUNT clients log in, by PLAIN and by LOGIN in turn, and stay
Says on standard output what happens.
"""
import base64
import select
import socket
import ssl
import sys
import threading
import time


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def context(authorities):
    made = ssl.create_default_context(cafile=authorities)
    return made


def drive(client):
    """One step of a handshake: whether it is complete."""
    try:
        client.do_handshake()
        return True
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return False


def crowd(port, authorities, count):
    made = context(authorities)
    clients = []
    for _ in range(count):
        plain = socket.create_connection(("127.0.0.1", port), 60)
        plain.setblocking(False)
        clients.append(made.wrap_socket(plain, server_hostname="mx.example.org", do_handshake_on_connect=False))
        drive(clients[-1])
    say("begun %d" % len(clients))
    for line in sys.stdin:
        order, _, number = line.strip().partition(" ")
        if order == "drop":
            for client in clients[:int(number)]:
                client.close()
            clients = clients[int(number):]
            say("dropped " + number)
        elif order == "finish":
            break
    waiting, done, failed, end = list(clients), 0, 0, time.monotonic() + 90
    while waiting and time.monotonic() < end:
        poll = select.poll()
        for client in waiting:
            poll.register(client, select.POLLIN)
        ready = {number for number, _ in poll.poll(1000)}
        still = []
        for client in waiting:
            try:
                if client.fileno() not in ready or not drive(client):
                    still.append(client)
                else:
                    done += 1
            except OSError as error:
                failed += 1
                say("error %s" % error)
        waiting = still
    say("finished done=%d failed=%d waiting=%d" % (done, failed, len(waiting)))


def loop(port, authorities):
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    done, failed = 0, 0
    while not ended.is_set():
        try:
            with socket.create_connection(("127.0.0.1", port), 60) as plain:
                # A context of its own: no session is resumed.
                with context(authorities).wrap_socket(plain, server_hostname="mx.example.org") as client:
                    if not client.recv(100).startswith(b"220 "):
                        raise OSError("no greeting")
                    client.sendall(b"QUIT\r\n")
                    client.recv(100)
            done += 1
            say("ok %d" % done)
        except OSError as error:
            failed += 1
            say("error %s" % error)
    say("finished done=%d failed=%d" % (done, failed))


SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
HEADERS = [
    b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 465\r\n",
    # With a TLV behind the addresses.
    SIGNATURE + b"\x21\x11\0\x10" + bytes([192, 0, 2, 7, 198, 51, 100, 1, 156, 64, 1, 209]) + b"\x04\0\x01\0",
]
# So many at a time: the listener has read the first part of each long before the second one comes.
BATCH = 40


class Proxied:
    def __init__(self, port, made, header):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = made.wrap_bio(self.incoming, self.outgoing, server_hostname="mx.example.org")
        drive(self.tls)
        self.first = header + self.outgoing.read()
        self.plain = socket.create_connection(("127.0.0.1", port), 60)
        self.plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def pump(self, step):
        while True:
            try:
                result = step()
                self.plain.sendall(self.outgoing.read())
                return result
            except ssl.SSLWantReadError:
                self.plain.sendall(self.outgoing.read())
                data = self.plain.recv(16384)
                if not data:
                    raise OSError("closed")
                self.incoming.write(data)

    def finish(self):
        self.pump(self.tls.do_handshake)
        text = self.pump(lambda: self.tls.read(4096))
        if not text.startswith(b"220 "):
            raise OSError("no greeting")
        self.tls.write(b"EHLO client.example.org\r\nQUIT\r\n")
        self.plain.sendall(self.outgoing.read())
        if b"[192.0.2.7]" not in self.pump(lambda: self.tls.read(4096)):
            raise OSError("another client")
        self.plain.close()


def proxied(port, authorities):
    made = context(authorities)
    done, failed = 0, 0
    for header in HEADERS:
        whole = len(Proxied(port, made, header).first)
        # Every byte of the header and of the record's own, then here and there; at last all of it in one segment.
        cuts = list(range(1, len(header) + 12)) + list(range(len(header) + 12, whole, 23)) + [whole - 1, whole]
        for start in range(0, len(cuts), BATCH):
            batch = [(Proxied(port, made, header), cut) for cut in cuts[start:start + BATCH]]
            for client, cut in batch:
                client.plain.sendall(client.first[:cut])
            for client, cut in batch:
                client.plain.sendall(client.first[cut:])
            for client, cut in batch:
                try:
                    client.finish()
                    done += 1
                except (OSError, ssl.SSLError) as error:
                    failed += 1
                    say("error at %d: %s" % (cut, error))
    # What is behind the first record is not TLS: a broken handshake, and nobody's commands.
    liar = Proxied(port, made, HEADERS[1])
    liar.plain.sendall(liar.first + b"EHLO evil.example.org\r\nNOOP\r\n")
    try:
        liar.finish()
        failed += 1
    except (OSError, ssl.SSLError):
        done += 1
    say("finished done=%d failed=%d" % (done, failed))


def logins(port, authorities, count, user, password):
    made = context(authorities)
    clients = []
    for number in range(count):
        plain = socket.create_connection(("127.0.0.1", port), 60)
        client = made.wrap_socket(plain, server_hostname="mx.example.org")
        stream = client.makefile("rb")

        def reply():
            while (line := stream.readline())[3:4] == b"-":
                pass
            return line

        def ask(text):
            client.sendall(text + b"\r\n")
            return reply()

        reply()
        ask(b"EHLO client.example.org")
        encoded = base64.b64encode
        if number % 2 == 0:
            answer = ask(b"AUTH PLAIN " + encoded(b"\0" + user + b"\0" + password))
        else:
            ask(b"AUTH LOGIN")
            ask(encoded(user))
            answer = ask(encoded(password))
        if not answer.startswith(b"235"):
            say("error %s" % answer.decode())
        clients.append((client, stream))
    say("finished %d" % len(clients))
    sys.stdin.read()


def main():
    port, authorities, story = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    if story == "crowd":
        crowd(port, authorities, int(sys.argv[4]))
    elif story == "logins":
        logins(port, authorities, int(sys.argv[4]), sys.argv[5].encode(), sys.argv[6].encode())
    elif story == "proxied":
        proxied(port, authorities)
    else:
        loop(port, authorities)


main()
