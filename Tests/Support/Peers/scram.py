# SPDX-License-Identifier: ISC
# AUTH SCRAM-SHA-256 (RFC 7677) over TLS from the first byte, by the hand of another: scram.py PORT USER PASSWORD
# Also what others need who speak so: the connection to the port of their first argument.
import base64, hashlib, hmac, socket, ssl, sys

port = int(sys.argv[1])
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


def prove(user, password):
    """The answer to the proof, and the server's own proof as it has to be."""
    first = "n=%s,r=fyko+d2lbbFgONRv9qkxdawL" % user
    answer = say("AUTH SCRAM-SHA-256 " + encoded("n,," + first))
    server = base64.b64decode(answer[4:]).decode()
    values = dict(part.split("=", 1) for part in server.split(","))
    assert values["r"].startswith("fyko+d2lbbFgONRv9qkxdawL")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(values["s"]), int(values["i"]))
    client_key = mac(salted, b"Client Key")
    final = "c=biws,r=" + values["r"]
    message = (first + "," + server + "," + final).encode()
    signature = mac(hashlib.sha256(client_key).digest(), message)
    proof = bytes(a ^ b for a, b in zip(client_key, signature))
    answer = say(encoded(final + ",p=" + encoded(proof)))
    return answer, b"v=" + base64.b64encode(mac(mac(salted, b"Server Key"), message))


if __name__ == "__main__":
    reply()
    say("EHLO client.example.org")
    answer, expected = prove(sys.argv[2], sys.argv[3])
    if answer.startswith("334 "):
        assert base64.b64decode(answer[4:]) == expected
        answer = say("")
    print(answer)
