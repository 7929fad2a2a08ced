#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Brings in numbered messages over several connections until standard input ends, whatever becomes of the server.

usage: source.py ADDRESS PORT CONNECTIONS SIZE PAUSE RECIPIENT ...
Message N goes to the recipients in turn and has `X-Number: N` and a body of SIZE bytes that ends with the line
`end of N`. Each that was acknowledged is told on standard output, the number of attempts that failed at the end.
"""
import itertools
import smtplib
import sys
import threading
import time

address, port, connections, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
pause, recipients = float(sys.argv[5]), sys.argv[6:]
numbers = itertools.count(1)
lock = threading.Lock()
ended = threading.Event()
failures = 0


def content(number):
    lines = ["line %d of %d" % (line, number) for line in range(size // 20)]
    return ("From: alice@example.org\r\nSubject: numbered\r\nX-Number: %d\r\n\r\n%s\r\nend of %d\r\n"
            % (number, "\r\n".join(lines), number))


def send():
    global failures
    client = None
    while not ended.is_set():
        with lock:
            number = next(numbers)
        try:
            if client is None:
                client = smtplib.SMTP(address, port, local_hostname="client.example.org", timeout=20)
            client.sendmail("alice@example.org", [recipients[number % len(recipients)]], content(number))
            with lock:
                print("acknowledged %d" % number, flush=True)
        except (smtplib.SMTPException, OSError):
            with lock:
                failures += 1
            if client is not None:
                client.close()
            client = None
            time.sleep(0.05)
        if pause:
            time.sleep(pause)
    if client is not None:
        client.close()


threads = [threading.Thread(target=send) for _ in range(connections)]
for thread in threads:
    thread.start()
sys.stdin.read()
ended.set()
for thread in threads:
    thread.join()
print("failures %d" % failures, flush=True)
