"""`PoolState`: the contents of a user pool, and the checks that its operations share."""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from oncegate import Factor
from oncegate_sandbox._devices import Devices
from oncegate_sandbox._sessions import Sessions
from oncegate_sandbox._tokens import TokenIssuer
from oncegate_sandbox._users import Directory, User
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.errors import CognitoError, not_authorized
from oncegate_sandbox.inbox import Inbox, masked
from oncegate_sandbox.seed import Seed


class PoolState:
    """One user pool with one app client. `oncegate_sandbox.pool.Pool` adds the operations.

    Args:
        seed: settings and users.
        issuer: ``iss`` of the tokens.
        clock: the sandbox's clock.
        signing_key: RSA key that signs the tokens. Default: a new one, made at first use.
    """

    def __init__(
        self,
        seed: Seed,
        issuer: str,
        clock: SandboxClock,
        signing_key: RSAPrivateKey | None = None,
    ) -> None:
        self.seed = seed.pool
        region, _, self.name = seed.pool.id.partition("_")
        self.clock = clock
        self.users = Directory(seed)
        self.sessions = Sessions(seed.pool.auth_session_minutes * 60)
        self.devices = Devices(seed.pool.device_tracking, region)
        rotation = seed.pool.rotation_grace_seconds if seed.pool.refresh_rotation else None
        self.tokens = TokenIssuer(issuer, seed.pool.client_id, rotation, signing_key)
        self.inbox = Inbox()
        self._secret = seed.pool.client_secret

    def check_client(self, client_id: str) -> None:
        """Check ``ClientId``.

        Raises:
            CognitoError: the pool has no such app client.
        """
        if client_id != self.seed.client_id:
            raise CognitoError(
                "ResourceNotFoundException", f"User pool client {client_id} does not exist."
            )

    def check_client_secret(self, given: str | None) -> None:
        """Check ``ClientSecret``, for the operations that take the secret itself.

        Raises:
            CognitoError: the secret is wrong.
        """
        right = self._secret.get_secret_value() if self._secret else ""
        if not hmac.compare_digest(right.encode(), (given or "").encode()):
            raise not_authorized("Unable to verify client secret")

    def check_secret_hash(self, given: str | None, name: str, message: str) -> None:
        """Check ``SECRET_HASH``.

        Args:
            given: the hash of the request.
            name: the username that the hash covers.
            message: beginning of the error message; the client ID follows.

        Raises:
            CognitoError: the hash is wrong, or the client has no secret.
        """
        client_id = self.seed.client_id
        if self._secret is None:
            if given:
                raise not_authorized(
                    f"Client {client_id} is not configured for secret but secret hash was received"
                )
            return
        key = self._secret.get_secret_value().encode()
        right = base64.b64encode(hmac.new(key, (name + client_id).encode(), sha256).digest())
        if not hmac.compare_digest(right, (given or "").encode()):
            raise not_authorized(f"{message} {client_id}")

    @property
    def has_secret(self) -> bool:
        """Whether the app client has a secret."""
        return self._secret is not None

    def second_factors(self, user: User) -> tuple[Factor, ...]:
        """Return the second factors of a user; none if the pool's MFA is off."""
        return () if self.seed.mfa == "off" else user.factors

    def bearer(self, access_token: str) -> User:
        """Return the user to whom an access token was issued.

        Raises:
            CognitoError: the token is invalid, or the user no longer exists.
        """
        user = self.users.find(self.tokens.username_of(access_token, self.clock.now()))
        if user is None:
            raise CognitoError("UserNotFoundException", "User does not exist.")
        return user

    def deliver(self, user: User, factor: Factor, code: str, purpose: str) -> tuple[str, str]:
        """Send a code, and return the medium and the masked destination.

        Raises:
            CognitoError: the user has no phone number, or no email address.
        """
        medium = "EMAIL" if factor is Factor.EMAIL else "SMS"
        destination = user.destination(factor)
        if destination is None:
            raise CognitoError(
                "CodeDeliveryFailureException", "There is nowhere to send a code to."
            )
        self.inbox.deliver(user.username, medium, destination, code, purpose, self.clock.now())
        return medium, masked(destination)
