"""The users of the pool: who they are, what they know, and how often they were wrong."""

from __future__ import annotations

import base64
import hmac
import uuid
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from webauthn.helpers import base64url_to_bytes

from oncegate import Factor
from oncegate_sandbox.errors import LOCKED, not_authorized
from oncegate_sandbox.seed import Seed, UserSeed
from oncegate_sandbox.srp import Verifier

# "After five failed attempts … locked out for one second. The lockout duration then doubles after
# each additional one failed attempt, with the maximum being approximately 15 minutes": AWS developer
# guide, "Authentication with user pools", on lockout for failed sign-in attempts.
_FREE_ATTEMPTS = 5
_LONGEST_LOCK = 900.0
_WINDOW = 30


@dataclass
class Lockout:
    """Counts the wrong passwords of one username, whether or not a user has it."""

    wrong: int = 0
    until: float = 0.0

    def check(self, now: float) -> None:
        if now < self.until:
            raise not_authorized(LOCKED)

    def count_wrong(self, now: float) -> None:
        self.wrong += 1
        if self.wrong >= _FREE_ATTEMPTS:
            self.until = now + min(2.0 ** (self.wrong - _FREE_ATTEMPTS), _LONGEST_LOCK)

    def forget(self) -> None:
        self.wrong = 0


@dataclass
class Passkey:
    """A WebAuthn credential of a user.

    Attributes:
        public_key: COSE.
        sign_count: the last that its authenticator told.
    """

    public_key: bytes
    sign_count: int = 0


@dataclass
class User:
    """One user of the pool."""

    username: str
    password: str = field(repr=False)
    status: str
    attributes: dict[str, str]
    factors: tuple[Factor, ...]
    preferred: Factor | None
    totp_secret: str | None = field(repr=False)
    sub: str = field(default_factory=lambda: str(uuid.uuid4()))
    last_totp_window: int = -1
    code: str | None = field(default=None, repr=False)
    code_ends: float = 0.0
    passkeys: dict[str, Passkey] = field(default_factory=dict)
    _verifier: Verifier | None = field(default=None, repr=False)

    @classmethod
    def of(cls, seed: UserSeed, everyone_needs_mfa: bool) -> User:
        attributes: dict[str, str] = {}
        if seed.email:
            attributes |= {"email": seed.email, "email_verified": "true"}
        if seed.phone_number:
            attributes |= {"phone_number": seed.phone_number, "phone_number_verified": "true"}
        factors = seed.mfa
        if everyone_needs_mfa and not factors:
            # Where a pool requires MFA, a user with a phone number or an address has a factor.
            factors = tuple(
                factor
                for factor, name in ((Factor.SMS, "phone_number"), (Factor.EMAIL, "email"))
                if name in attributes
            )[:1]
        return cls(
            username=seed.username,
            password=seed.password.get_secret_value(),
            status=seed.status,
            attributes=attributes,
            factors=factors,
            preferred=seed.preferred_mfa,
            totp_secret=seed.totp_secret.get_secret_value() if seed.totp_secret else None,
            passkeys={
                passkey.id: Passkey(base64url_to_bytes(passkey.public_key))
                for passkey in seed.passkeys
            },
        )

    def verifier(self, pool_name: str) -> Verifier:
        if self._verifier is None:
            self._verifier = Verifier.of(pool_name, self.username, self.password)
        return self._verifier

    def set_password(self, password: str) -> None:
        self.password, self._verifier, self.status = password, None, "CONFIRMED"

    def destination(self, factor: Factor) -> str | None:
        by_text = factor in {Factor.SMS, Factor.SMS_OTP}
        return self.attributes.get("phone_number" if by_text else "email")

    def totp_window(self, code: str, now: float, secret: str | None = None) -> int | None:
        """The 30-second window (RFC 6238) that a code is of: this one or the one before."""
        key = base64.b32decode(secret or self.totp_secret or "", casefold=True)
        # Seeds may hold short secrets, as many an authenticator was given; hence the last argument.
        totp = TOTP(key, 6, SHA1(), _WINDOW, enforce_key_length=False)  # noqa: S303 - RFC 6238's own
        for window in (int(now) // _WINDOW, int(now) // _WINDOW - 1):
            if hmac.compare_digest(totp.generate(window * _WINDOW), code.encode()):
                return window
        return None


class Directory:
    """Finds users by username, email or phone number."""

    def __init__(self, seed: Seed) -> None:
        self._by_name: dict[str, User] = {}
        self.everyone_needs_mfa = seed.pool.mfa == "on"
        self._lockouts: dict[str, Lockout] = {}
        for one in seed.users:
            user = User.of(one, seed.pool.mfa == "on")
            for name in (one.username, one.email, one.phone_number):
                if name:
                    self._by_name[name] = user

    def find(self, name: str) -> User | None:
        return self._by_name.get(name)

    def lockout(self, user: User | None, name: str) -> Lockout:
        return self._lockouts.setdefault(user.username if user else name, Lockout())
