"""A certificate authority of one session, by which the proxy can stand for the hosts that get secrets.

Its key never leaves the host's memory, and its certificate says that it is for these hosts only: nothing else that
believes it can be deceived.
"""

from __future__ import annotations

import datetime as dt
import os
import ssl
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.errors import SandboxStartError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_DAY = dt.timedelta(days=1)
_LIFE = 825 * _DAY  # the most that some clients accept
_MOST_HOSTS = 64
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)  # fmt: skip


class Authority:
    """Made for names and `*.name`s. Raises SandboxStartError without the package that it takes."""

    def __init__(self, hosts: Iterable[str]) -> None:
        try:
            from cryptography import x509  # noqa: PLC0415 - an extra
            from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
        except ImportError as error:
            raise SandboxStartError(
                "secrets need the package cryptography: pip install 'enhanced-sandbox[egress]'"
            ) from error
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Sandbox session")])
        self._key, self._leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        names = sorted({host.removeprefix("*.") for host in hosts})
        permitted = x509.NameConstraints([x509.DNSName(name) for name in names], None)
        self._certificate = self._signed(
            self._name,
            self._key,
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (permitted, True),
            (_usage(signs_certificates=True), True),
        )
        self.context = lru_cache(_MOST_HOSTS)(self._context)

    def _signed(
        self, name: x509.Name, key: EllipticCurvePrivateKey, *extensions: tuple[x509.ExtensionType, bool]
    ) -> x509.Certificate:
        from cryptography import x509  # noqa: PLC0415
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

        now = dt.datetime.now(dt.UTC)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(name).issuer_name(self._name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - _DAY).not_valid_after(now + _LIFE)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        )  # fmt: skip
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())

    @property
    def bundle(self) -> str:
        """The certificates that programs inside are to believe: the host's, and this one."""
        return f"{_hosts_bundle()}\n{_pem(self._certificate)}"

    def _context(self, host: str) -> ssl.SSLContext:
        """What it takes to stand for a host."""
        from cryptography import x509  # noqa: PLC0415
        from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415

        certificate = self._signed(
            x509.Name([]),
            self._leaf_key,
            (x509.SubjectAlternativeName([x509.DNSName(host)]), True),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(signs_certificates=False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        _load(context, _key_pem(self._leaf_key) + _pem(certificate))
        return context


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509  # noqa: PLC0415

    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _load(context: ssl.SSLContext, pem: str) -> None:
    """The standard library reads keys from files only: from one that is nowhere but in memory."""
    fd = os.memfd_create("sandbox-certificate", os.MFD_CLOEXEC)
    try:
        os.write(fd, pem.encode())
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def _pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives import serialization as s  # noqa: PLC0415

    return key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode()


def _hosts_bundle() -> str:
    named = ssl.get_default_verify_paths().cafile
    found = next((path for path in (named, *_BUNDLES) if path and os.path.isfile(path)), None)
    return Path(found).read_text("utf-8", "replace") if found else ""
