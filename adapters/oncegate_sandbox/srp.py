"""The server side of Cognito's SRP, in plain Python.

It shares no code with the client side on purpose: the sandbox tests that client, and shared arithmetic
would hide errors.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

G = 2


def _pi_times_two_to(bits: int) -> int:
    """Return the integer part of pi · 2^bits, by Machin's formula in integers."""
    guard = 64
    unit = 1 << (bits + guard)

    def arctan_of_one_over(n: int) -> int:
        total, term, k = 0, unit // n, 1
        while term:
            total += term // k if k % 4 == 1 else -(term // k)
            term //= n * n
            k += 2
        return total

    return (16 * arctan_of_one_over(5) - 4 * arctan_of_one_over(239)) >> guard


# The 3072-bit group of RFC 5054 is the one of RFC 3526, section 4, which gives the prime as a formula.
N = (1 << 3072) - (1 << 3008) - 1 + ((_pi_times_two_to(2942) + 1690314) << 64)


def encode(number: int) -> bytes:
    """Encode a number as Cognito hashes it: whole bytes, with a zero byte before a set high bit."""
    digits = f"{number:x}"
    digits = digits.zfill(len(digits) + len(digits) % 2)
    return bytes.fromhex("00" + digits if digits[0] in "89abcdef" else digits)


def _hash_of(*parts: bytes) -> int:
    return int(sha256(b"".join(parts)).hexdigest(), 16)


MULTIPLIER = _hash_of(encode(N), encode(G))


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a server stores instead of a password.

    Attributes:
        salt: a number of up to 128 bits.
        value: g to the power of x, modulo N.
    """

    salt: int
    value: int

    @classmethod
    def of(cls, group: str, user: str, password: str) -> Verifier:
        """Return the verifier of a password, with a new salt.

        Args:
            group: name of the pool.
            user: the user's own name.
            password: the password.
        """
        salt = secrets.randbits(128)
        inner = sha256(f"{group}{user}:{password}".encode()).digest()
        return cls(salt, pow(G, _hash_of(encode(salt), inner), N))


class ServerSrp:
    """One exchange, from the verifier challenge to its answer.

    Args:
        verifier: verifier of the user; for an unknown user, one without a known password.
        public_a: SRP_A.

    Attributes:
        public: SRP_B.

    Raises:
        ValueError: SRP_A is zero modulo N.
    """

    def __init__(self, verifier: Verifier, public_a: int) -> None:
        if public_a % N == 0:
            raise ValueError("SRP_A is zero")
        self._verifier = verifier
        self._a = public_a
        self._secret = secrets.randbits(256)
        self.public = (MULTIPLIER * verifier.value + pow(G, self._secret, N)) % N

    def accepts(self, signature: bytes, signed: bytes) -> bool:
        """Whether the signature proves knowledge of the password.

        Args:
            signature: PASSWORD_CLAIM_SIGNATURE, decoded.
            signed: pool name, user ID, secret block and timestamp, concatenated.
        """
        u = _hash_of(encode(self._a), encode(self.public))
        shared = pow(self._a * pow(self._verifier.value, u, N), self._secret, N)
        stretch = HKDF(algorithm=SHA256(), length=16, salt=encode(u), info=b"Caldera Derived Key")
        key = stretch.derive(encode(shared))
        return hmac.compare_digest(hmac.digest(key, signed, "sha256"), signature)
