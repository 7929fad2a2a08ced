# SPDX-License-Identifier: ISC
# A user who takes back what was proven, over TLS from the first byte: takeback.py PORT cancel|xclient SENDER RECIPIENT
import base64, hashlib, hmac, socket, ssl, sys

port, way, sender, recipient = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
stream = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 60))
lines = stream.makefile("rb")


def reply():
    while True:
        line = lines.readline().decode("ascii").rstrip()
        if line[3:4] != "-":
            return line


def say(text):
    stream.sendall(text.encode("ascii") + b"\r\n")
    return reply()


def encoded(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def mac(key, text):
    return hmac.new(key, text, "sha256").digest()


def begin_scram():
    first = "n=bob,r=fyko+d2lbbFgONRv9qkxdawL"
    server = base64.b64decode(say("AUTH SCRAM-SHA-256 " + encoded("n,," + first))[4:]).decode()
    values = dict(part.split("=", 1) for part in server.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", b"correct horse", base64.b64decode(values["s"]), int(values["i"]))
    key = mac(salted, b"Client Key")
    final = "c=biws,r=" + values["r"]
    signature = mac(hashlib.sha256(key).digest(), (first + "," + server + "," + final).encode())
    return say(encoded(final + ",p=" + encoded(bytes(a ^ b for a, b in zip(key, signature)))))


plain = "AUTH PLAIN " + encoded("\0bob\0correct horse")
reply()
print(say("EHLO client.example.org"))
if way == "cancel":
    print(begin_scram()[:3])
    print(say("*"))
else:
    print(say(plain))
    print(say("XCLIENT ADDR=192.0.2.7"))
    print(say("EHLO other.example.org"))
print(say("MAIL FROM:<%s>" % sender))
print(say("RCPT TO:<%s>" % recipient))
print(say("RSET"))
# Whoever proves it again is known again.
print(say(plain))
print(say("MAIL FROM:<bob@example.org>"))
print(say("RCPT TO:<%s>" % recipient))
print(say("QUIT"))
