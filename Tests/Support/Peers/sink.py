#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A small server for tests, of SMTP and LMTP: says on standard output what happens, and does what standard input tells it.

usage: sink.py ADDRESS PORT DIRECTORY [--tls CERTIFICATE KEY] [--immediate] [--client-ca FILE]; an address that is a path
is a Unix socket
Each message goes into a file of DIRECTORY as it came, dots undone. Input: PHASE REPLY, where PHASE is one of connect,
hello, mail, rcpt, rcpt.USER, data, early, end, end.USER (of LMTP) and REPLY is a whole reply line; PHASE alone is as usual again; `drop PHASE` closes the
connection there; `early REPLY` comes in the middle of the content, and the connection closes then; `limit NUMBER` takes so many recipients in one transaction, without one again any number; `PHASE hang` answers nothing until it is told otherwise (at the end, of a message that was taken). With --tls STARTTLS is offered, unless
`offer no`, or TLS comes first; a reply to the phase starttls may hold \\r\\n, and what follows that is sent in plain text.
"""
import os
import socket
import ssl
import sys
import threading
import time

replies = {}
lock = threading.Lock()
count = 0


def say(text):
    with lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def orders():
    for line in sys.stdin:
        phase, _, reply = line.strip().partition(" ")
        if phase == "drop":
            replies[reply] = None
        elif reply:
            replies[phase] = reply
        else:
            replies.pop(phase, None)
        say("order " + line.strip())
    os._exit(0)


class Closed(Exception):
    pass


def wrap(connection, number, context):
    connection = context.wrap_socket(connection, server_side=True)
    peer = dict(item[0] for item in (connection.getpeercert() or {}).get("subject", ())).get("commonName", "-")
    say("tls %d %s reused=%s peer=%s" % (number, connection.version(), connection.session_reused, peer))
    return connection


def serve(connection, number, directory, context, is_immediate):
    global count
    is_secure, has_quit = False, False
    try:
        if is_immediate:
            connection = wrap(connection, number, context)
            is_secure = True
    except OSError as error:
        say("failed %d %s" % (number, error))
        connection.close()
        return
    stream = connection.makefile("rb")

    def answer(phase, usual):
        reply = replies.get(phase, usual)
        if reply == "hang":
            say("hangs %d %s" % (number, phase))
        while reply == "hang":
            time.sleep(0.02)
            reply = replies.get(phase, usual)
        if reply is None:
            raise Closed()
        connection.sendall(reply.encode().replace(b"\\r\\n", b"\r\n") + b"\r\n")
        return reply[:1] in "23"

    sender, recipients, is_lmtp = None, [], False
    def takes(phase):
        reply = replies.get(phase, "2")
        return reply is not None and (reply[:1] in "23" or reply == "hang")

    try:
        if not answer("connect", "220 sink.example.org ESMTP"):
            return
        while True:
            line = stream.readline(70000)
            if not line:
                break
            verb = line[:4].upper()
            text = line.decode("latin-1").strip()
            if verb in (b"EHLO", b"HELO", b"LHLO"):
                say("hello %d %s" % (number, text[5:]))
            if verb in (b"EHLO", b"LHLO"):
                is_lmtp = verb == b"LHLO"
                offer = "" if is_secure or context is None or "offer" in replies else "250-STARTTLS\r\n"
                answer("hello", "250-sink.example.org\r\n" + offer + "250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME")
            elif verb == b"STAR" and context is not None:
                if answer("starttls", "220 2.0.0 Go"):
                    connection = wrap(connection, number, context)
                    stream = connection.makefile("rb")
                    is_secure, sender, recipients = True, None, []
            elif verb == b"HELO":
                answer("hello", "250 sink.example.org")
            elif verb == b"MAIL":
                if answer("mail", "250 2.1.0 Ok"):
                    sender, recipients = text[text.index("<") + 1:text.index(">")], []
            elif verb == b"RCPT":
                if sender is None:
                    connection.sendall(b"503 5.5.1 MAIL first\r\n")
                    continue
                recipient = text[text.index("<") + 1:text.index(">")]
                if len(recipients) >= int(replies.get("limit", "1000")):
                    connection.sendall(b"452 4.5.3 Too many recipients\r\n")
                    continue
                phase = "rcpt." + recipient.partition("@")[0]
                if answer(phase if phase in replies else "rcpt", "250 2.1.5 Ok"):
                    recipients.append(recipient)
            elif verb == b"DATA":
                if not recipients:
                    connection.sendall(b"554 5.5.1 No recipients\r\n")
                    continue
                if not answer("data", "354 Go on"):
                    continue
                if "early" in replies:
                    stream.read(20000)
                    answer("early", "")
                    raise Closed()
                content = []
                while True:
                    line = stream.readline(1 << 20)
                    if not line:
                        raise Closed()
                    if line == b".\r\n":
                        break
                    content.append(line[1:] if line.startswith(b".") else line)
                with lock:
                    count += 1
                    mine = count
                name = "%06d" % mine
                phases = ["end"]
                if is_lmtp:
                    # RFC 2033 section 4.2: one reply for each recipient.
                    phases = ["end." + name.partition("@")[0] for name in recipients]
                    phases = [phase if phase in replies else "end" for phase in phases]
                    takers = [name for name, phase in zip(recipients, phases) if takes(phase)]
                else:
                    takers = recipients if takes("end") else []
                if takers:
                    with open(os.path.join(directory, "." + name), "wb") as file:
                        file.write(b"".join(content))
                    os.rename(os.path.join(directory, "." + name), os.path.join(directory, name))
                    say("message %s connection=%d from=<%s> to=%s" % (name, number, sender, ",".join(takers)))
                for phase in phases:
                    answer(phase, "250 2.0.0 Ok")
                sender, recipients = None, []
            elif verb == b"RSET":
                sender, recipients = None, []
                answer("rset", "250 2.0.0 Ok")
            elif verb == b"NOOP":
                answer("noop", "250 2.0.0 Ok")
            elif verb == b"QUIT":
                has_quit = True
                connection.sendall(b"221 2.0.0 Bye\r\n")
                break
            else:
                connection.sendall(b"500 5.5.2 What? " + line.strip() + b"\r\n")
    except ssl.SSLError as error:
        say("failed %d %s" % (number, error))
    except (Closed, OSError):
        pass
    finally:
        connection.close()
        if not has_quit:
            say("cut %d" % number)
        say("closed %d" % number)


def main():
    address, port, directory = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    options, context = sys.argv[4:], None
    if "--tls" in options:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        at = options.index("--tls")
        context.load_cert_chain(options[at + 1], options[at + 2])
        if "--client-ca" in options:
            context.load_verify_locations(options[options.index("--client-ca") + 1])
            context.verify_mode = ssl.CERT_OPTIONAL
    if address.startswith("/"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
        listener.listen(256)
        os.chmod(address, 0o666)
    else:
        listener = socket.create_server((address, port), backlog=256)
    threading.Thread(target=orders, daemon=True).start()
    say("ready %s" % (listener.getsockname()[1] if port else address))
    number = 0
    while True:
        connection, peer = listener.accept()
        number += 1
        say("connect %d from=%s" % (number, peer[0] if peer else "-"))
        threading.Thread(target=serve, args=(connection, number, directory, context, "--immediate" in options),
                         daemon=True).start()


main()
