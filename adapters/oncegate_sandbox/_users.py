"""The users of the pool, their credentials, and the lockout after wrong passwords."""

from __future__ import annotations

import base64
import hmac
import uuid
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from webauthn.helpers import base64url_to_bytes

from oncegate import Factor
from oncegate_sandbox.errors import LOCKED, TOTP_USED, WRONG_TOTP, CognitoError, not_authorized
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
    """Counts the wrong passwords of one username, known or unknown.

    Attributes:
        wrong: wrong passwords since the last right one.
        until: Unix time at which the lockout ends.
    """

    wrong: int = 0
    until: float = 0.0

    def check(self, now: float) -> None:
        """Check that the username is not locked out.

        Raises:
            CognitoError: it is.
        """
        if now < self.until:
            raise not_authorized(LOCKED)

    def count_wrong(self, now: float) -> None:
        """Count a wrong password, and lock the username out from the fifth on."""
        self.wrong += 1
        if self.wrong >= _FREE_ATTEMPTS:
            self.until = now + min(2.0 ** (self.wrong - _FREE_ATTEMPTS), _LONGEST_LOCK)

    def reset(self) -> None:
        """Reset the count after a right password."""
        self.wrong = 0


@dataclass
class Passkey:
    """A WebAuthn credential of a user.

    Attributes:
        public_key: COSE key.
        sign_count: last signature counter that the authenticator reported.
    """

    public_key: bytes
    sign_count: int = 0


@dataclass
class User:
    """One user of the pool.

    Attributes:
        username: the user's own name, which is not an alias.
        factors: second factors that are enabled.
        preferred: the preferred second factor, if any.
        totp_secret: shared secret of the authenticator app, in base32.
        sub: unique ID of the user.
        last_totp_window: 30-second window of the last accepted TOTP code.
        code: last code that was sent to confirm a sign-up or to reset a password.
        code_ends: Unix time at which ``code`` expires.
        passkeys: by credential ID in URL-safe base64.
        is_enabled: whether an administrator has not disabled the user.
    """

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
    is_enabled: bool = True
    _verifier: Verifier | None = field(default=None, repr=False)

    @classmethod
    def of(cls, seed: UserSeed, is_mfa_required: bool) -> User:
        """Create the user of a seed."""
        attributes: dict[str, str] = {}
        if seed.email:
            attributes |= {"email": seed.email, "email_verified": "true"}
        if seed.phone_number:
            attributes |= {"phone_number": seed.phone_number, "phone_number_verified": "true"}
        factors = seed.mfa
        if is_mfa_required and not factors:
            # If a pool requires MFA, a phone number or an email address is a factor.
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
        """Return the SRP verifier of the password."""
        if self._verifier is None:
            self._verifier = Verifier.of(pool_name, self.username, self.password)
        return self._verifier

    def set_password(self, password: str) -> None:
        """Set a permanent password."""
        self.password, self._verifier, self.status = password, None, "CONFIRMED"

    def destination(self, factor: Factor) -> str | None:
        """Return the phone number or email address that codes of a factor are sent to."""
        is_sms = factor in {Factor.SMS, Factor.SMS_OTP}
        return self.attributes.get("phone_number" if is_sms else "email")

    def use_totp_code(self, code: str, now: float, secret: str | None = None) -> None:
        """Check a code of an authenticator app, and mark it as used.

        Args:
            code: the code.
            now: Unix time.
            secret: shared secret in base32. Default: the user's own.

        Raises:
            CognitoError: the code is wrong, or was used before.
        """
        window = self._totp_window(code, now, secret or self.totp_secret or "")
        if window is None:
            raise CognitoError("CodeMismatchException", WRONG_TOTP)
        if window <= self.last_totp_window:
            raise CognitoError("ExpiredCodeException", TOTP_USED)
        self.last_totp_window = window

    def _totp_window(self, code: str, now: float, secret: str) -> int | None:
        """Return the 30-second window (RFC 6238) of a code: the current or the previous one."""
        key = base64.b32decode(secret, casefold=True)
        # Seeds can have short secrets, as some authenticator apps do.
        totp = TOTP(key, 6, SHA1(), _WINDOW, enforce_key_length=False)  # noqa: S303 - RFC 6238's own
        for window in (int(now) // _WINDOW, int(now) // _WINDOW - 1):
            if hmac.compare_digest(totp.generate(window * _WINDOW), code.encode()):
                return window
        return None


class Directory:
    """Finds users by username, email address or phone number.

    Args:
        seed: the seed of the pool.
    """

    def __init__(self, seed: Seed) -> None:
        self._by_name: dict[str, User] = {}
        self._lockouts: dict[str, Lockout] = {}
        for one in seed.users:
            user = User.of(one, seed.pool.mfa == "on")
            for name in (one.username, one.email, one.phone_number):
                if name:
                    self._by_name[name] = user

    def find(self, name: str) -> User | None:
        """Return the user of a name or alias, or None."""
        return self._by_name.get(name)

    def lockout(self, user: User | None, name: str) -> Lockout:
        """Return the lockout of a user, or of an unknown username."""
        return self._lockouts.setdefault(user.username if user else name, Lockout())
