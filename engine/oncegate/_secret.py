"""Secrets that pydantic hides in every repr and dump, except when a record is sealed."""

from __future__ import annotations

from typing import Annotated

from pydantic import PlainSerializer, SecretStr, SerializationInfo

REVEAL = {"reveal": True}
"""The serialization context that reveals secrets. Only code that seals the result uses it."""


def _write(secret: SecretStr, info: SerializationInfo) -> str:
    if info.context is REVEAL:
        return secret.get_secret_value()
    return str(secret)


Secret = Annotated[SecretStr, PlainSerializer(_write, return_type=str)]
"""A string that is asterisks in reprs and JSON, except when a record is sealed."""
