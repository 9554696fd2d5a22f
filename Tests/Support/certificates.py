"""Certificates for tests, made by openssl: an authority, who it vouches for, and all that can be wrong."""

import pathlib
import socket
import ssl
import subprocess

from resp import Connection


def openssl(directory, *arguments):
    subprocess.run(["openssl", *map(str, arguments)], cwd=directory, check=True, capture_output=True)


class Authority:
    """A certificate authority in a directory. Keys are of an elliptic curve, which takes no time to find."""

    def __init__(self, directory, name="ca"):
        self.directory = pathlib.Path(directory)
        self.name = name
        self.file = self.directory / f"{name}.crt"
        self._key(name)
        self._openssl(
            "req", "-x509", "-new", "-sha256", "-key", f"{name}.key", "-days", "3650", "-subj", f"/CN={name}",
            "-out", f"{name}.crt",
        )  # fmt: skip

    def _openssl(self, *arguments):
        openssl(self.directory, *arguments)

    def _key(self, name):
        self._openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{name}.key")

    def issue(self, name, *, is_expired=False, rsa=False):
        """A certificate and its key: two paths."""
        if rsa:
            self._openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", f"{name}.key")
        else:
            self._key(name)
        self._openssl("req", "-new", "-sha256", "-key", f"{name}.key", "-subj", f"/CN={name}", "-out", f"{name}.csr")
        (self.directory / f"{name}.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        if is_expired:
            self._issue_expired(name)
        else:
            self._openssl(
                "x509", "-req", "-sha256", "-in", f"{name}.csr", "-CA", f"{self.name}.crt", "-CAkey", f"{self.name}.key",
                "-CAcreateserial", "-days", "365", "-extfile", f"{name}.ext", "-out", f"{name}.crt",
            )  # fmt: skip
        return self.directory / f"{name}.crt", self.directory / f"{name}.key"

    def _issue_expired(self, name):
        """`openssl ca` alone takes dates that have passed."""
        (self.directory / "index.txt").write_text("")
        (self.directory / "ca.cnf").write_text(
            "[ca]\ndefault_ca=a\n[a]\ndatabase=index.txt\nrand_serial=yes\nnew_certs_dir=.\ndefault_md=sha256\n"
            "policy=p\n[p]\ncommonName=supplied\n"
        )
        self._openssl(
            "ca", "-batch", "-config", "ca.cnf", "-in", f"{name}.csr", "-cert", f"{self.name}.crt", "-keyfile",
            f"{self.name}.key", "-startdate", "200101000000Z", "-enddate", "200102000000Z", "-extfile", f"{name}.ext",
            "-out", f"{name}.crt", "-notext",
        )  # fmt: skip


class Certificates:
    """What most tests need: `server` and `client` of one authority."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.authority = Authority(directory)
        self.server = self.authority.issue("server")
        self.client = self.authority.issue("client")

    def options(self, *more):
        """A server's settings."""
        certificate, key = self.server
        return [
            *("--tls-cert-file", str(certificate), "--tls-key-file", str(key)),
            *("--tls-ca-cert-file", str(self.authority.file), *map(str, more)),
        ]

    def context(self, certificate="own", *, version=None, ciphers=None, authority=None):
        """A client's; `certificate` None: it shows none."""
        context = ssl.create_default_context(cafile=str((authority or self.authority).file))
        if certificate is not None:
            context.load_cert_chain(*map(str, self.client if certificate == "own" else certificate))
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if ciphers is not None:
            context.set_ciphers(ciphers)
        return context

    def connect(self, port, context=None, **options):
        return TLSConnection(port, context or self.context(), **options)


class TLSConnection(Connection):
    def __init__(self, port, context, *, session=None, receive_buffer=None):
        plain = socket.socket()
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.settimeout(30)
        plain.connect(("127.0.0.1", port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket = context.wrap_socket(plain, server_hostname="localhost", session=session)
        except Exception:
            plain.close()
            raise
        self.buffer = bytearray()
        self.start = 0

    def serial(self):
        """Of the certificate that the server shows."""
        return self.socket.getpeercert()["serialNumber"]
