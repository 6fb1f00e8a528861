"""`PoolState`: what a user pool has, and what its operations share."""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256

from oncegate import Factor
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.custom import CustomAuth
from oncegate_sandbox.devices import Devices
from oncegate_sandbox.errors import CognitoError, not_authorized
from oncegate_sandbox.inbox import Inbox, masked
from oncegate_sandbox.passkeys import Passkeys
from oncegate_sandbox.seed import Seed
from oncegate_sandbox.sessions import Sessions
from oncegate_sandbox.tokens import TokenIssuer
from oncegate_sandbox.users import Directory, User


class PoolState:
    """One user pool with one app client; `oncegate_sandbox.pool.Pool` is this with its operations.

    Args:
        seed: what to play.
        issuer: the ``iss`` of the tokens.
        clock: the sandbox's.
    """

    def __init__(self, seed: Seed, issuer: str, clock: SandboxClock) -> None:
        self.seed = seed.pool
        region, _, self.name = seed.pool.id.partition("_")
        self.clock = clock
        self.users = Directory(seed)
        self.sessions = Sessions(seed.pool.auth_session_minutes * 60)
        self.devices = Devices(seed.pool.device_tracking, region)
        self.passkeys = Passkeys(seed.pool.relying_party)
        self.custom = CustomAuth(seed.pool.custom_auth) if seed.pool.custom_auth else None
        rotation = seed.pool.rotation_grace_seconds if seed.pool.refresh_rotation else None
        self.tokens = TokenIssuer(issuer, seed.pool.client_id, rotation)
        self.inbox = Inbox()
        self._secret = seed.pool.client_secret

    def check_client(self, client_id: str) -> None:
        if client_id != self.seed.client_id:
            raise CognitoError(
                "ResourceNotFoundException", f"User pool client {client_id} does not exist."
            )

    def check_client_secret(self, given: str | None) -> None:
        """For the operations that take the secret itself."""
        right = self._secret.get_secret_value() if self._secret else ""
        if not hmac.compare_digest(right.encode(), (given or "").encode()):
            raise not_authorized("Unable to verify client secret")

    def check_secret_hash(self, given: str | None, name: str, words: str) -> None:
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
            raise not_authorized(f"{words} {client_id}")

    @property
    def has_secret(self) -> bool:
        return self._secret is not None

    def bearer(self, access_token: str) -> User:
        """The user whom an access token was issued to."""
        user = self.users.find(self.tokens.username_of(access_token, self.clock.now()))
        if user is None:
            raise CognitoError("UserNotFoundException", "User does not exist.")
        return user

    def deliver(self, user: User, factor: Factor, code: str, purpose: str) -> tuple[str, str]:
        """Send a code; returns the medium and the masked destination.

        Raises:
            CognitoError: the user has no phone, or no mailbox.
        """
        medium = "EMAIL" if factor is Factor.EMAIL else "SMS"
        destination = user.destination(factor)
        if destination is None:
            raise CognitoError(
                "CodeDeliveryFailureException", "There is nowhere to send a code to."
            )
        self.inbox.deliver(user.username, medium, destination, code, purpose, self.clock.now())
        return medium, masked(destination)
