"""Finds the other adapters by their entry points, so that third parties' are found the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, Self

from oncegate import FlowStore, Misconfigured, MissingExtra, Transport


class SentMessage(Protocol):
    """A text or mail that a sandbox delivered."""

    @property
    def username(self) -> str: ...
    @property
    def medium(self) -> str: ...
    @property
    def destination(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def sent_at(self) -> datetime: ...


class LocalCognito(AbstractContextManager["LocalCognito"], Protocol):
    """What the CLI needs of a sandbox."""

    @property
    def endpoint(self) -> str: ...
    @property
    def pool_id(self) -> str: ...
    @property
    def client_id(self) -> str: ...
    def description(self) -> Mapping[str, str]: ...
    def messages(self) -> Sequence[SentMessage]: ...
    def calls(self) -> Mapping[str, int]: ...
    def lose_next_response(self, operation: str) -> None: ...
    def listen(self) -> None: ...
    def serve_forever(self) -> None: ...
    def __enter__(self) -> Self: ...


def _load(group: str, name: str, extra: str) -> Any:
    for entry in entry_points(group=f"oncegate.{group}", name=name):
        try:
            return entry.load()
        except ModuleNotFoundError as error:
            raise MissingExtra(extra) from error
    raise Misconfigured(f"nothing is installed that provides {name!r} for oncegate.{group}")


def cognito_transport(**settings: Any) -> Transport:
    """The transport to Cognito; `oncegate_cognito.CognitoTransport` says what it takes."""
    transport: Transport = _load("transports", "cognito", "cognito")(**settings)
    return transport


def memory_store() -> FlowStore:
    """A store for one run of the command."""
    store: FlowStore = _load("stores", "memory", "all")()
    return store


def sandbox(*, port: int = 0, host: str = "127.0.0.1", seed: Path | None = None) -> LocalCognito:
    """A local Cognito that is not serving yet."""
    kind = _load("sandboxes", "local", "sandbox")
    played = kind.from_seed_file(seed, port=port, host=host) if seed else kind(port=port, host=host)
    cognito: LocalCognito = played
    return cognito
