# SPDX-License-Identifier: ISC
# A user who takes back what was proven, over TLS from the first byte: takeback.py PORT cancel|xclient SENDER RECIPIENT
import sys

# Nothing is written beside the sources.
sys.dont_write_bytecode = True
from scram import encoded, prove, reply, say

way, sender, recipient = sys.argv[2], sys.argv[3], sys.argv[4]
plain = "AUTH PLAIN " + encoded("\0bob\0correct horse")
reply()
print(say("EHLO client.example.org"))
if way == "cancel":
    print(prove("bob", "correct horse")[0][:3])
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
