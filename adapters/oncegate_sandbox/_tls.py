"""A certificate for the sandbox, made at start, and the authority that signed it."""

from __future__ import annotations

import ipaddress
import shutil
import tempfile
import weakref
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Browsers and Apple's systems reject certificates that are valid for longer.
_VALID_FOR = timedelta(days=397)


class Certificate:
    """A certificate in a temporary folder, which is deleted with this object, or by `delete`.

    Args:
        hosts: host names and IP addresses that it is valid for.

    Attributes:
        ca_file: path of the authority's certificate, which clients must trust.
        cert_file: path of the server's certificate.
        key_file: path of the server's private key. The server that has read it deletes it.
    """

    def __init__(self, hosts: list[str]) -> None:
        folder = Path(tempfile.mkdtemp(prefix="oncegate-sandbox-"))
        self._deletion = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.ca_file, self.cert_file, self.key_file = (
            folder / name for name in ("ca.pem", "cert.pem", "key.pem")
        )
        ca_key, key = (
            ec.generate_private_key(ec.SECP256R1()),
            ec.generate_private_key(ec.SECP256R1()),
        )
        ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "oncegate sandbox CA")])
        ca_id = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
        authority = (
            _begin(ca_name, ca_name, ca_key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(ca_id, critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "oncegate sandbox")])
        issued_by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_id)
        certificate = (
            _begin(name, ca_name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([_alternative(h) for h in hosts]), False)
            .add_extension(issued_by, critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        self.ca_file.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        self.cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.key_file.touch(mode=0o600)
        self.key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def delete(self) -> None:
        """Delete the files. A server that has read them goes on."""
        self._deletion()


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALID_FOR)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
