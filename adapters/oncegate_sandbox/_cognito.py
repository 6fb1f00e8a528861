"""`Cognito`: all user pools of one sandbox."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from oncegate_sandbox._provisioning import Provisioning
from oncegate_sandbox._validation import check_request
from oncegate_sandbox._wire import Json
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.errors import no_such_client, no_such_pool
from oncegate_sandbox.inbox import Inbox
from oncegate_sandbox.pool import Pool
from oncegate_sandbox.seed import PoolSeed, Seed


class Cognito:
    """The pools. Not thread-safe: the server performs one request at a time.

    Args:
        seed: settings, app client and users of the default pool.
        issuer_of: returns ``iss`` of a pool's tokens, given the pool ID.
        clock: the sandbox's clock.
        signing_key: RSA key that signs the tokens. Default: a new one for each pool, made at first
            use.

    Attributes:
        default: the pool of the seed.
        pools: all pools, by ID, oldest first.
        inbox: the messages of all pools.

    Raises:
        InvalidInput: the seed's ``custom_auth`` or ``triggers`` cannot be used.
    """

    def __init__(
        self,
        seed: Seed,
        issuer_of: Callable[[str], str],
        clock: SandboxClock,
        *,
        signing_key: RSAPrivateKey | None = None,
    ) -> None:
        self._seed = seed
        self._issuer_of = issuer_of
        self._clock = clock
        self._signing_key = signing_key
        self.inbox = Inbox()
        self.default: Pool
        self.pools: dict[str, Pool] = {}
        self.reset()

    def reset(self) -> None:
        """Restore the contents of the seed, and delete all other pools and all messages.

        The keys stay, so that verifiers that have them in a cache go on.
        """
        self.inbox.clear()
        before = self.pools.get(self._seed.pool.id)
        self.default = self._new_pool(self._seed)
        if before:
            self.default.tokens.take_keys(before.tokens)
        self.pools = {self.default.id: self.default}
        self._provisioning = Provisioning(self)

    @property
    def operations(self) -> frozenset[str]:
        """Names of the operations that the sandbox performs."""
        return self._provisioning.operations | self.default.operations

    def perform(self, operation: str, request: Mapping[str, Any]) -> Json:
        """Perform one operation and return its response.

        Args:
            operation: name of the operation, such as ``InitiateAuth``.
            request: members of the request.

        Raises:
            CognitoError: Cognito would reject the request.
        """
        check_request(operation, request)
        # To AWS's JSON protocol, null is absent: amazon-cognito-identity-js sends ValidationData so.
        request = {name: value for name, value in request.items() if value is not None}
        response = self._provisioning.perform(operation, request)
        if response is None:
            response = self.pool_of(request).perform(operation, request)
        return response

    def pool(self, pool_id: str) -> Pool:
        """Return a pool.

        Raises:
            CognitoError: there is no such pool.
        """
        if pool_id not in self.pools:
            raise no_such_pool(pool_id)
        return self.pools[pool_id]

    def add_pool(self, pool_id: str, configuration: Json) -> Pool:
        """Create a pool without users and app clients.

        Args:
            pool_id: user pool ID.
            configuration: members of CreateUserPool.

        Raises:
            CognitoError: the schema is invalid.
        """
        settings = PoolSeed(
            id=pool_id,
            issuer=self._seed.pool.issuer,
            triggers=self._seed.pool.triggers,
            trigger_timeout_seconds=self._seed.pool.trigger_timeout_seconds,
            custom_auth=self._seed.pool.custom_auth,
            providers=(),
        )
        pool = self._new_pool(Seed(pool=settings))
        pool.clients.clear()
        pool.configure(configuration)
        pool.modified_at = pool.created_at
        self.pools[pool_id] = pool
        return pool

    def _new_pool(self, seed: Seed) -> Pool:
        issuer = self._issuer_of(seed.pool.id)
        return Pool(seed, issuer, self._clock, signing_key=self._signing_key, inbox=self.inbox)

    def pool_of(self, request: Mapping[str, Any]) -> Pool:
        """Return the pool that a request concerns.

        Args:
            request: members of the request, such as ``ClientId`` or ``AccessToken``.

        Raises:
            CognitoError: the request names a pool or a client that does not exist.
        """
        if isinstance(pool_id := request.get("UserPoolId"), str):
            return self.pool(pool_id)
        client_id = request.get("ClientId")
        if client_id is None and isinstance(token := request.get("AccessToken"), str):
            client_id = _client_of(token)
            return self._find(lambda pool: client_id in pool.clients) or self.default
        if isinstance(client_id, str):
            pool = self._find(lambda pool: client_id in pool.clients)
            if pool is None:
                raise no_such_client(client_id)
            return pool
        session = request.get("Session")
        return self._find(lambda pool: session in pool.sessions.texts()) or self.default

    def _find(self, matches: Callable[[Pool], bool]) -> Pool | None:
        return next((pool for pool in self.pools.values() if matches(pool)), None)


def _client_of(access_token: str) -> str | None:
    """Return the client of an access token that is not verified, to find the pool that verifies it."""
    try:
        payload = access_token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["client_id"])
    except (ValueError, LookupError, TypeError):
        return None
