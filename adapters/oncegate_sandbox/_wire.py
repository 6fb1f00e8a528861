"""Requests that more than one module reads. Names and shapes: botocore's service model.

The sandbox declares the members that it uses and ignores all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, Field

from oncegate_sandbox.errors import invalid_parameter

Json = dict[str, Any]
Operations = dict[str, tuple[type[BaseModel], Callable[[Any], Json]]]
"""Operations by name: the model of the request, and the function that performs it."""


class ClientRequest(BaseModel):
    """A request of an app client."""

    client_id: str = Field(alias="ClientId")
    session: str | None = Field(default=None, alias="Session")


class InitiateAuth(ClientRequest):
    """InitiateAuth."""

    auth_flow: str = Field(alias="AuthFlow")
    parameters: dict[str, str | None] = Field(default_factory=dict, alias="AuthParameters")
    client_metadata: dict[str, str] = Field(default_factory=dict, alias="ClientMetadata")


class RespondToAuthChallenge(ClientRequest):
    """RespondToAuthChallenge."""

    challenge: str = Field(alias="ChallengeName")
    responses: dict[str, str | None] = Field(default_factory=dict, alias="ChallengeResponses")
    client_metadata: dict[str, str] = Field(default_factory=dict, alias="ClientMetadata")


class AccessTokenRequest(BaseModel):
    """A request that is authorised by an access token."""

    access_token: str = Field(alias="AccessToken")


def required(parameters: Mapping[str, str | None], name: str) -> str:
    """Return a parameter of a request.

    Raises:
        CognitoError: the parameter is missing or empty.
    """
    value = parameters.get(name)
    if not value:
        raise invalid_parameter(f"Missing required parameter {name}")
    return value
