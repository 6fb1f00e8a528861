"""The client's side of Cognito's SRP: SRP-6a in the 3072-bit group of RFC 5054, with two differences.

Cognito pads numbers in its own way (`pad`), and derives the key from the shared secret with HKDF and
the label "Caldera Derived Key". Both are as in amazon-cognito-identity-js, and are tested with the
vectors of amplify-swift.

gmpy2 computes the powers with `powmod_sec`, whose duration does not depend on the exponent (GMP
manual, mpz_powm_sec). It releases the interpreter's lock, so that many sign-ins at once do not block
other threads. The exponent ``a`` has 256 bits, the minimum of RFC 5054, section 3.1.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

import gmpy2
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# RFC 5054, appendix A, 3072-bit group.
N = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
    "15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7"
    "ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C"
    "BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
    16,
)
G = 2
_HEX = re.compile(r"[0-9A-Fa-f]+")
_MOST_HEX = len(f"{N:x}")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class BadParameters(ValueError):
    """The server's SRP parameters are malformed, or would reveal the password."""


def pad(number: int) -> bytes:
    """Return a number as big-endian two's complement: a zero byte precedes a high bit.

    The width is not fixed: a number with leading zero bytes is shorter.
    """
    return int(number).to_bytes(int(number).bit_length() // 8 + 1, "big")


def _power(base: int, exponent: int) -> int:
    # The context belongs to the thread. By default it does not release the interpreter's lock.
    with gmpy2.context(allow_release_gil=True):
        power: int = gmpy2.powmod_sec(base, exponent, N)
    return power


def _hash(data: bytes) -> int:
    return int.from_bytes(sha256(data).digest(), "big")


K = _hash(pad(N) + pad(G))


def scrambler(public_a: int, public_b: int) -> int:
    """Return ``u``, the hash of both public values."""
    return _hash(pad(public_a) + pad(public_b))


def private_key(salt: int, group: str, user: str, password: str) -> int:
    """Return ``x``, the hash of the salt and the credentials.

    Args:
        salt: SALT, as a number.
        group: part of the pool ID after the underscore; for a device, its group key.
        user: USER_ID_FOR_SRP; for a device, its key.
        password: the user's, or the device's.
    """
    return _hash(pad(salt) + sha256(f"{group}{user}:{password}".encode()).digest())


def session_key(shared: int, u: int) -> bytes:
    """Return the 16-byte key that signs claims."""
    stretch = HKDF(SHA256(), 16, salt=pad(u), info=b"Caldera Derived Key")
    return stretch.derive(pad(shared))


def timestamp(now: datetime) -> str:
    """Return the TIMESTAMP of a claim: UTC, English names in every locale, no zero before the day."""
    now = now.astimezone(UTC)
    return (
        f"{_DAYS[now.weekday()]} {_MONTHS[now.month - 1]} {now.day} {now:%H:%M:%S} UTC {now.year}"
    )


@dataclass(frozen=True, slots=True)
class Claim:
    """Proof that the client knows the password: the answer to PASSWORD_VERIFIER."""

    signature: str = field(repr=False)
    secret_block: str = field(repr=False)
    timestamp: str


@dataclass(frozen=True, slots=True)
class DeviceSecret:
    """A new device's password, and the verifier by which Cognito checks it.

    Attributes:
        password: 40 random bytes in base64. It is stored in the device vault and never sent.
        salt: base64, for ConfirmDevice.
        verifier: base64, for ConfirmDevice.
    """

    password: str = field(repr=False)
    salt: str
    verifier: str = field(repr=False)

    @classmethod
    def new(cls, group: str, device_key: str) -> DeviceSecret:
        """Generate a secret for a device that Cognito has just named."""
        password = base64.b64encode(secrets.token_bytes(40)).decode()
        salt = secrets.randbits(128)
        verifier = int(_power(G, private_key(salt, group, device_key, password)))
        return cls(password, _base64(salt), _base64(verifier))


def _base64(number: int) -> str:
    return base64.b64encode(pad(number)).decode()


class ClientSrp:
    """One SRP exchange. Use a new instance for each sign-in.

    Args:
        a: secret exponent, for tests with known numbers. Default: 256 random bits.
    """

    def __init__(self, a: int | None = None) -> None:
        self._a = a or secrets.randbits(256) | 1 << 255
        self.public = int(_power(G, self._a))

    @property
    def public_hex(self) -> str:
        """``A`` in hexadecimal: SRP_A."""
        return f"{self.public:x}"

    def shared_secret(self, x: int, server_public: int) -> int:
        """Return ``S``, on which client and server agree if both know the password.

        Raises:
            BadParameters: with the server's value, the secret would not depend on the password.
        """
        if server_public % N == 0:
            raise BadParameters("SRP_B is zero")
        u = scrambler(self.public, server_public)
        if u == 0:
            raise BadParameters("u is zero")
        base = (server_public - K * _power(G, x)) % N
        return int(_power(base, self._a + u * x))

    def claim(
        self,
        *,
        group: str,
        user: str,
        password: str,
        salt: str,
        server_public: str,
        secret_block: str,
        now: datetime,
    ) -> Claim:
        """Return the answer to PASSWORD_VERIFIER or DEVICE_PASSWORD_VERIFIER.

        Args:
            group: part of the pool ID after the underscore; for a device, its group key.
            user: USER_ID_FOR_SRP; for a device, its key.
            password: the user's as typed, or the device's.
            salt: SALT, in hexadecimal.
            server_public: SRP_B, in hexadecimal.
            secret_block: SECRET_BLOCK, in base64.
            now: time for the TIMESTAMP.

        Raises:
            BadParameters: the server's parameters are malformed, or would reveal the password.
        """
        b = _number("SRP_B", server_public)
        s = self.shared_secret(private_key(_number("SALT", salt), group, user, password), b)
        key = session_key(s, scrambler(self.public, b))
        try:
            # Not strict: moto sends a UUID here, and Cognito validates its own block.
            block = base64.b64decode(secret_block)
        except ValueError:
            raise BadParameters("SECRET_BLOCK is not base64") from None
        stamp = timestamp(now)
        signed = f"{group}{user}".encode() + block + stamp.encode()
        signature = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
        return Claim(signature=signature, secret_block=secret_block, timestamp=stamp)


def _number(name: str, text: str) -> int:
    if len(text) > _MOST_HEX + 2 or not _HEX.fullmatch(text):
        raise BadParameters(f"{name} is not a number")
    return int(text, 16)
