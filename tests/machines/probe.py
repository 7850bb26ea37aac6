"""Says what a NATS server refuses to a user: probe.py HOST CERTIFICATE USER PASSWORD LINE...

Each LINE is one of the protocol, such as `SUB foo 1`; a `PUB` gets an empty message. Prints the
server's errors, one a line.
"""

import json
import socket
import ssl
import sys

TIMEOUT_SECONDS = 10


def errors(host, certificate, user, password, lines):
    context = ssl.create_default_context(cafile=certificate)
    with socket.create_connection((host, 4222), TIMEOUT_SECONDS) as plain:
        # The server greets before it encrypts; nothing else was said by then.
        assert plain.recv(64 * 1024).startswith(b"INFO ")
        with context.wrap_socket(plain, server_hostname=host) as connection:
            hello = {"user": user, "pass": password, "verbose": False, "tls_required": True}
            said = [f"CONNECT {json.dumps(hello)}\r\n"]
            said += [f"{line} 0\r\n\r\n" if line.startswith("PUB") else f"{line}\r\n"
                     for line in lines]
            connection.sendall("".join([*said, "PING\r\n"]).encode())
            for line in connection.makefile("r", encoding="utf-8"):
                if line.startswith("-ERR"):
                    yield line.strip()
                elif line.startswith("PONG"):
                    return


if __name__ == "__main__":
    for error in errors(*sys.argv[1:5], sys.argv[5:]):
        print(error)
