"""The users of the pool, their credentials, and the lockout after wrong passwords and codes."""

from __future__ import annotations

import base64
import hmac
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from webauthn.helpers import base64url_to_bytes

from oncegate import Factor
from oncegate_sandbox._settings import PoolSettings
from oncegate_sandbox.errors import LOCKED, TOTP_USED, WRONG_TOTP, CognitoError, not_authorized
from oncegate_sandbox.seed import UserSeed, address_in
from oncegate_sandbox.srp import Verifier

# "After five failed attempts … locked out for one second. The lockout duration then doubles after
# each additional one failed attempt, with the maximum being approximately 15 minutes", and 15 minutes
# without an attempt reset it: AWS developer guide, "Authentication with user pools", on lockout for
# failed sign-in attempts.
_FREE_ATTEMPTS = 5
_FORGOTTEN_AFTER = 900.0
_WINDOW = 30

EXTERNAL = "EXTERNAL_PROVIDER"
"""UserStatus of the users of identity providers."""


@dataclass
class Lockout:
    """Counts the wrong passwords of one username, known or unknown, or the wrong MFA codes of a user.

    Attributes:
        wrong: number since the last right one.
        at: Unix time of the last one.
    """

    wrong: int = 0
    at: float = 0.0

    def check(self, now: float, words: str = LOCKED) -> None:
        """Check that a password or code can be tried now.

        Args:
            now: Unix time.
            words: message of the error. Default: that of passwords.

        Raises:
            CognitoError: it cannot.
        """
        if now >= self.at + _FORGOTTEN_AFTER:
            self.wrong = 0
        is_limited = self.wrong >= _FREE_ATTEMPTS
        if is_limited and now < self.at + 2.0 ** (self.wrong - _FREE_ATTEMPTS):
            raise not_authorized(words)

    def count_wrong(self, now: float) -> None:
        """Count a wrong password or code."""
        self.wrong, self.at = self.wrong + 1, now

    def reset(self) -> None:
        """Reset the count after a right password or code."""
        self.wrong = 0


@dataclass
class Passkey:
    """A WebAuthn credential of a user.

    Attributes:
        public_key: COSE key.
        sign_count: last signature counter that the authenticator reported.
        name: friendly name.
        attachment: ``platform``, ``cross-platform`` or empty.
        transports: how the browser reaches the authenticator, such as ``internal``.
        created_at: Unix time.
    """

    public_key: bytes
    sign_count: int = 0
    name: str = "Passkey"
    attachment: str = ""
    transports: tuple[str, ...] = ()
    created_at: float = 0.0


@dataclass
class Group:
    """A group of users.

    Attributes:
        role_arn: IAM role of the group, if any.
        precedence: the group of the smallest number determines ``cognito:preferred_role``.
        created_at: Unix time.
        modified_at: Unix time.
    """

    name: str
    description: str | None = None
    role_arn: str | None = None
    precedence: int | None = None
    created_at: float = 0.0
    modified_at: float = 0.0

    @property
    def rank(self) -> tuple[int, str]:
        """Sort key: by precedence, and by name among equals. Groups without one come last."""
        return (2**31 if self.precedence is None else self.precedence, self.name)


@dataclass
class SentCode:
    """A code that was sent outside a sign-in, and is to be confirmed.

    Attributes:
        text: the code.
        ends: Unix time at which the code expires.
        attribute: attribute that holds the destination. Confirming the code verifies it.
    """

    text: str = field(repr=False)
    ends: float
    attribute: str


@dataclass
class User:
    """One user of the pool.

    Attributes:
        username: the user's own name, which is not an alias.
        password: permanent or temporary password. Empty if the user has none.
        factors: second factors that are enabled.
        preferred: the preferred second factor, if any.
        totp_secret: shared secret of the authenticator app, in base32.
        sub: unique ID of the user.
        last_totp_window: 30-second window of the last accepted TOTP code.
        codes: codes that were sent and are to be confirmed, by purpose.
        passkeys: by credential ID in URL-safe base64.
        is_enabled: whether an administrator has not disabled the user.
        groups: the user's groups.
        pending: new values of attributes that change only after verification.
        created_at: Unix time.
        modified_at: Unix time.
        temporary_until: Unix time at which a temporary password expires.
    """

    username: str
    password: str = field(repr=False)
    status: str
    attributes: dict[str, str]
    factors: tuple[Factor, ...] = ()
    preferred: Factor | None = None
    totp_secret: str | None = field(default=None, repr=False)
    sub: str = field(default_factory=lambda: str(uuid.uuid4()))
    last_totp_window: int = -1
    codes: dict[str, SentCode] = field(default_factory=dict, repr=False)
    passkeys: dict[str, Passkey] = field(default_factory=dict)
    is_enabled: bool = True
    groups: list[Group] = field(default_factory=list)
    pending: dict[str, str] = field(default_factory=dict, repr=False)
    created_at: float = 0.0
    modified_at: float = 0.0
    temporary_until: float | None = None
    _former_passwords: list[str] = field(default_factory=list, repr=False)
    _verifier: Verifier | None = field(default=None, repr=False)

    @classmethod
    def of(cls, seed: UserSeed, settings: PoolSettings, now: float) -> User:
        """Create the user of a seed."""
        attributes = dict(seed.attributes)
        of_name = address_in(seed.username, settings.username_attributes)
        for name, value, is_verified in (
            ("email", seed.email, seed.email_verified),
            ("phone_number", seed.phone_number, seed.phone_number_verified),
        ):
            if address := value or of_name.get(name):
                verified = "true" if is_verified else "false"
                attributes |= {name: address, f"{name}_verified": verified}
        return cls(
            username=seed.username,
            password=seed.password.get_secret_value() if seed.password else "",
            status=seed.status,
            attributes=attributes,
            factors=seed.mfa,
            preferred=seed.preferred_mfa,
            totp_secret=seed.totp_secret.get_secret_value() if seed.totp_secret else None,
            passkeys={
                passkey.id: Passkey(base64url_to_bytes(passkey.public_key))
                for passkey in seed.passkeys
            },
            is_enabled=seed.enabled,
            created_at=now,
            modified_at=now,
            temporary_until=(
                settings.password_policy.temporary_until(now)
                if seed.status == "FORCE_CHANGE_PASSWORD"
                else None
            ),
        )

    @property
    def has_password(self) -> bool:
        """Whether the user has a password. Without one, only first-factor codes and passkeys work."""
        return bool(self.password)

    def is_verified(self, attribute: str) -> bool:
        """Whether an email address or a phone number is present and verified."""
        return bool(self.attributes.get(attribute)) and (
            self.attributes.get(f"{attribute}_verified") == "true"
        )

    def verifier(self, pool_name: str) -> Verifier:
        """Return the SRP verifier of the password; one that no password fits if there is none."""
        if self._verifier is None:
            password = self.password or secrets.token_hex(32)
            self._verifier = Verifier.of(pool_name, self.username, password)
        return self._verifier

    def used_before(self, password: str, history: int) -> bool:
        """Whether a password is among the current one and the last ``history`` ones."""
        known = [*self._former_passwords, self.password][-history:] if history else []
        return password in known

    def set_password(self, password: str, *, temporary_until: float | None = None) -> None:
        """Set a password.

        Args:
            password: the new password.
            temporary_until: Unix time until which a temporary password is valid. Default: None, the
                password is permanent.
        """
        if self.password:
            self._former_passwords.append(self.password)
        self.password, self._verifier, self.temporary_until = password, None, temporary_until
        self.status = "CONFIRMED" if temporary_until is None else "FORCE_CHANGE_PASSWORD"

    def set_verified(self, attribute: str, *, verified: bool) -> None:
        """Mark an email address or a phone number as verified, or as not verified."""
        self.attributes[f"{attribute}_verified"] = "true" if verified else "false"

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
    """The users of a pool, oldest first.

    Args:
        settings: settings of the pool: aliases and case sensitivity.
    """

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._by_username: dict[str, User] = {}
        self._lockouts: dict[str, Lockout] = {}

    def __iter__(self) -> Iterator[User]:
        return iter(list(self._by_username.values()))

    def __len__(self) -> int:
        return len(self._by_username)

    def add(self, user: User) -> None:
        """Add a user."""
        self._by_username[self._normalized(user.username)] = user

    def remove(self, user: User) -> None:
        """Delete a user."""
        del self._by_username[self._normalized(user.username)]

    def find(self, name: str) -> User | None:
        """Return the user of a username, alias or ``sub``, or None."""
        return (
            self._by_username.get(self._normalized(name))
            or self.by_alias(name)
            or next((user for user in self if user.sub == name), None)
        )

    def by_alias(self, value: str) -> User | None:
        """Return the user whom an email address, phone number or preferred username signs in.

        Addresses that stand for the username sign in at once, those that are aliases only after they
        were verified. Source: AWS developer guide, customizing sign-in attributes. Users of an identity
        provider have no alias (aws-sdk-js#3774).
        """
        wanted = self._normalized(value)
        for user in self._by_username.values():
            if user.status == EXTERNAL:
                continue
            for name in self._settings.username_attributes:
                if self._normalized(user.attributes.get(name, "")) == wanted:
                    return user
            for name in self._settings.alias_attributes:
                if self._normalized(user.attributes.get(name, "")) == wanted and (
                    name == "preferred_username" or user.is_verified(name)
                ):
                    return user
        return None

    def lockout(self, user: User | None, name: str) -> Lockout:
        """Return the lockout of a user, or of an unknown username."""
        return self._lockouts.setdefault(user.username if user else name, Lockout())

    def _normalized(self, name: str) -> str:
        return name if self._settings.is_case_sensitive else name.casefold()
