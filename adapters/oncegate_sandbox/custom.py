"""Custom challenges: what a pool's Lambda triggers would do, as a few lines of Python in the seed.

The seed's ``custom_auth`` is Python that defines ``next_challenge(username, past)``. ``past`` lists the
challenges of this sign-in so far, each as ``{"name": …, "right": True or False}``; a password that was
proven first is one, named ``PASSWORD_VERIFIER``. It returns True to sign the user in, False to refuse,
or the next challenge as ``{"public": {…}, "answer": "…"}``, with ``"text"`` for a message that is to be
sent to the user's phone or mailbox. The three triggers that it stands for: AWS developer guide,
"Custom authentication challenge Lambda triggers".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oncegate import InvalidInput
from oncegate_sandbox.errors import CognitoError

Past = list[dict[str, Any]]


class Ask(BaseModel):
    """One custom challenge."""

    model_config = ConfigDict(extra="forbid")

    public: dict[str, str] = Field(default_factory=dict)
    answer: str
    text: str | None = None


class CustomAuth:
    """The hook of a seed.

    Args:
        source: Python.

    Raises:
        InvalidInput: it is no Python, or does not define ``next_challenge``.
    """

    def __init__(self, source: str) -> None:
        names: dict[str, Any] = {}
        try:
            # The seed is the developer's own file, like a conftest.py.
            exec(compile(source, "custom_auth", "exec"), names)  # noqa: S102
            self._next: Callable[[str, Past], Any] = names["next_challenge"]
        except Exception as error:  # noqa: BLE001 - whatever their code raises
            raise InvalidInput(f"custom_auth: {type(error).__name__}: {error}") from None

    def next_challenge(self, username: str, past: Past) -> Ask | bool:
        """What comes next.

        Raises:
            CognitoError: the hook raised, or returned something else, as a Lambda might.
        """
        try:
            told = self._next(username, past)
        except Exception as error:  # noqa: BLE001 - whatever their code raises
            message = f"DefineAuthChallenge failed with error {error}."
            raise CognitoError("UserLambdaValidationException", message) from None
        if isinstance(told, bool):
            return told
        try:
            return Ask.model_validate(told)
        except ValidationError:
            raise CognitoError(
                "InvalidLambdaResponseException", "Unrecognizable lambda output"
            ) from None
