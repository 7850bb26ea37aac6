"""Makes keys, certificates and server configurations for every way to log in: login.py DIRECTORY

Writes NAME.conf for a server and what clients of it need: a certificate authority with a server's
and a node's certificate, an NKey, a credentials file of an operator's account.
"""

import base64
import binascii
import datetime
import ipaddress
import json
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

SEED, USER, ACCOUNT, OPERATOR = 18 << 3, 20 << 3, 0, 14 << 3
UNLIMITED = -1


class NKey:
    """An Ed25519 key as NATS writes it: https://docs.nats.io/reference/reference-protocols/nkey"""

    def __init__(self, kind):
        self.kind = kind
        self.key = ed25519.Ed25519PrivateKey.generate()

    def public(self):
        return encode(bytes([self.kind]) + self.key.public_key().public_bytes_raw())

    def seed(self):
        head = [SEED | self.kind >> 5, (self.kind & 31) << 3]
        return encode(bytes(head) + self.key.private_bytes_raw())

    def token(self, subject, claims):
        """A signed statement about a key."""
        body = {"iss": self.public(), "sub": subject.public(), "name": "test", "nats": claims}
        parts = [{"typ": "JWT", "alg": "ed25519-nkey"}, body]
        text = ".".join(web(json.dumps(part).encode()) for part in parts)
        return f"{text}.{web(self.key.sign(text.encode()))}"


def encode(raw):
    checked = raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(checked).decode().rstrip("=")


def web(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def certificate(name, issuer=None):
    """A certificate for this machine and its key; by itself, or by another pair."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=not issuer, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def write_certificates(directory):
    authority = certificate("authority")
    stranger = certificate("stranger")
    pairs = {
        "authority": authority, "stranger": stranger,
        "server": certificate("server", authority), "node": certificate("node", authority),
    }
    for name, (cert, key) in pairs.items():
        pem = serialization.Encoding.PEM
        raw = key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (directory / f"{name}.pem").write_bytes(cert.public_bytes(pem))
        (directory / f"{name}.key").write_bytes(raw)


def account_claims(storage):
    counted = ("subs", "data", "payload", "imports", "exports", "conn", "leaf")
    limits = dict.fromkeys(counted, UNLIMITED) | {"wildcards": True} | storage
    return {"limits": limits, "type": "account", "version": 2}


def write_credentials(directory):
    """Makes an operator, its account and a user of that; gives the server's configuration."""
    operator, system, account, user = NKey(OPERATOR), NKey(ACCOUNT), NKey(ACCOUNT), NKey(USER)
    storage = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), UNLIMITED)
    traffic = {"subs": UNLIMITED, "data": UNLIMITED, "payload": UNLIMITED}
    token = account.token(user, traffic | {"type": "user", "version": 2})
    (directory / "node.creds").write_text(
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed()}\n------END USER NKEY SEED------\n",
        encoding="utf-8",
    )
    # The server refuses a system account that may keep streams.
    tokens = {
        system.public(): operator.token(system, account_claims({})),
        account.public(): operator.token(account, account_claims(storage)),
    }
    accounts = "\n".join(f"  {name}: {token}" for name, token in tokens.items())
    return (
        f"operator: {operator.token(operator, {'type': 'operator', 'version': 2})}\n"
        f"system_account: {system.public()}\n"
        f"resolver: MEMORY\nresolver_preload: {{\n{accounts}\n}}\n"
    )


def main(directory):
    write_certificates(directory)
    user = NKey(USER)
    (directory / "node.nkey").write_text(user.seed() + "\n", encoding="utf-8")
    tls = (
        f'cert_file: "{directory}/server.pem", key_file: "{directory}/server.key", '
        f'ca_file: "{directory}/authority.pem"'
    )
    configurations = {
        "credentials": write_credentials(directory),
        "nkey": f"authorization {{ users: [ {{ nkey: {user.public()} }} ] }}\n",
        "password": 'authorization { user: "node", password: "p:w@d/1#%" }\n',
        "tls": f"tls {{ {tls} }}\n",
        "mutual": f"tls {{ {tls}, verify: true }}\n",
    }
    for name, text in configurations.items():
        (directory / f"{name}.conf").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
