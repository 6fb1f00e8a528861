"""The user pool: Cognito's public operations, faithful as far as public knowledge goes.

What botocore's service model, a document or a public report says is done so. What is our reading is
marked *inferred*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from oncegate_sandbox.account import Account
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.errors import CognitoError, invalid_parameter
from oncegate_sandbox.journeys import Journeys
from oncegate_sandbox.seed import Seed
from oncegate_sandbox.signing_in import SigningIn
from oncegate_sandbox.state import PoolState
from oncegate_sandbox.wire import Json


class Pool(PoolState):
    """One user pool and its operations. Not thread-safe: the server runs one request at a time."""

    def __init__(self, seed: Seed, issuer: str, clock: SandboxClock) -> None:
        super().__init__(seed, issuer, clock)
        self._operations: dict[str, tuple[type[BaseModel], Callable[[Any], Json]]] = {
            **SigningIn(self).operations(),
            **Journeys(self).operations(),
            **Account(self).operations(),
        }

    def perform(self, operation: str, request: Mapping[str, Any]) -> Json:
        """Carry out one operation.

        Raises:
            CognitoError: as Cognito would.
        """
        if operation in {"AdminInitiateAuth", "AdminRespondToAuthChallenge"}:
            # The same, for servers with IAM credentials; what they were signed with is not looked at.
            if request.get("UserPoolId") != self.seed.id:
                raise CognitoError("ResourceNotFoundException", "User pool does not exist.")
            operation = operation.removeprefix("Admin")
        if operation not in self._operations:
            raise CognitoError("UnknownOperationException", f"{operation} is not played here")
        model, carry_out = self._operations[operation]
        try:
            asked = model.model_validate(request)
        except ValidationError as error:
            fields = ", ".join(str(problem["loc"][0]) for problem in error.errors())
            raise invalid_parameter(f"Missing or malformed: {fields}") from None
        return carry_out(asked)
