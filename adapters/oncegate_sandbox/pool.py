"""The user pool: Cognito's public operations.

The sandbox follows botocore's service model, the AWS documentation and public reports. Behaviour that
none of them states is marked *inferred*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from pydantic import ValidationError

from oncegate_sandbox._account import Account
from oncegate_sandbox._admin import Admin
from oncegate_sandbox._admin_devices import AdminDevices
from oncegate_sandbox._attribute_changes import AttributeChanges
from oncegate_sandbox._federation import Federation
from oncegate_sandbox._groups import Groups
from oncegate_sandbox._passkeys import PasskeyOperations
from oncegate_sandbox._sign_up import SignUp
from oncegate_sandbox._signing_in import SigningIn
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._token_operations import TokenOperations
from oncegate_sandbox._token_sessions import TokenSessions
from oncegate_sandbox._wire import Json, Operations
from oncegate_sandbox.challenges import CHALLENGES
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.errors import CognitoError, invalid_parameter, no_such_pool
from oncegate_sandbox.inbox import Inbox
from oncegate_sandbox.seed import Seed


class Pool(PoolState):
    """One user pool and its operations. Not thread-safe: the server performs one request at a time.

    Args:
        seed: settings and users.
        issuer: ``iss`` of the tokens.
        clock: the sandbox's clock.
        signing_key: RSA key that signs the tokens. Default: a new one of 2,048 bits, made at first
            use. Tests that create many pools can share a key to save time.
        inbox: the messages that are sent. Default: a new, empty one.

    Attributes:
        signing_in: the operations that sign in, also for managed login.
        federation: sign-ins with identity providers.

    Raises:
        InvalidInput: the seed's ``custom_auth`` cannot be used.
    """

    def __init__(
        self,
        seed: Seed,
        issuer: str,
        clock: SandboxClock,
        *,
        signing_key: RSAPrivateKey | None = None,
        inbox: Inbox | None = None,
    ) -> None:
        super().__init__(seed, issuer, clock, signing_key, inbox)
        self.signing_in = SigningIn(self, CHALLENGES)
        self.federation = Federation(self, self.signing_in)
        self._operations: Operations = {
            **self.signing_in.operations(),
            **self.federation.operations(),
            **SignUp(self).operations(),
            **Account(self).operations(),
            **AttributeChanges(self).operations(),
            **Groups(self).operations(),
            **PasskeyOperations(self).operations(),
            **TokenOperations(self).operations(),
            **TokenSessions(self).operations(),
            **Admin(self).operations(),
            **AdminDevices(self).operations(),
        }

    @property
    def operations(self) -> frozenset[str]:
        """Names of the operations."""
        return frozenset(self._operations)

    def perform(self, operation: str, request: Mapping[str, Any]) -> Json:
        """Perform one operation and return its response.

        Args:
            operation: name of the operation, such as ``InitiateAuth``.
            request: members of the request.

        Raises:
            CognitoError: Cognito would reject the request.
        """
        pool_id = request.get("UserPoolId", self.id)
        if pool_id != self.id:
            raise no_such_pool(str(pool_id))
        if operation not in self._operations:
            raise CognitoError(
                "UnknownOperationException", f"the sandbox does not support {operation}"
            )
        model, perform = self._operations[operation]
        try:
            parsed = model.model_validate(request)
        except ValidationError as error:
            fields = ", ".join(str(problem["loc"][0]) for problem in error.errors())
            raise invalid_parameter(f"Missing or malformed: {fields}") from None
        return perform(parsed)
