#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Clients of a listener with immediate TLS, many at a time.

usage: tls.py PORT CAFILE crowd COUNT     COUNT handshakes begin at once; then orders come on standard input:
                                          `drop N` closes N of them, `finish` drives the others to their end
       tls.py PORT CAFILE loop            one handshake and greeting after the other until standard input ends
Says on standard output what happens.
"""
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


def main():
    port, authorities, story = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    if story == "crowd":
        crowd(port, authorities, int(sys.argv[4]))
    else:
        loop(port, authorities)


main()
