"""Finds the other adapters by their entry points, so that third parties' are found the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, Self

import typer

from oncegate import Tokens, testing
from oncegate._entry_points import load_entry_point
from oncegate.adapters import DeviceVault, RecordStore, Transport


class ListedDevice(Protocol):
    """A device that Cognito knows of a user."""

    @property
    def key(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def last_signed_in_at(self) -> datetime | None: ...


class Session(Protocol):
    """What the CLI needs of a signed-in user."""

    def devices(self) -> Sequence[ListedDevice]: ...
    def forget_device(self, key: str) -> None: ...


class LocalCognito(testing.LocalCognito, AbstractContextManager["LocalCognito"], Protocol):
    """What the CLI needs of a sandbox."""

    def description(self) -> Mapping[str, str]: ...
    def listen(self) -> None: ...
    def serve_forever(self) -> None: ...
    def __enter__(self) -> Self: ...


def cognito_transport(**settings: Any) -> Transport:
    """The transport to Cognito; `oncegate_cognito.CognitoTransport` says what it takes."""
    transport: Transport = load_entry_point("transports", "cognito", "cognito")(**settings)
    return transport


def session(tokens: Tokens, transport: Transport) -> Session:
    """What a signed-in user can do."""
    app = getattr(transport, "app")  # noqa: B009 - a transport that has sessions has it
    made: Session = load_entry_point("sessions", "cognito", "cognito")(tokens, app)
    return made


def device_vault(pool_id: str, client_id: str) -> DeviceVault:
    """This person's devices: in the system's keyring where there is one, else in a file."""
    account = f"{pool_id} {client_id}"
    vault: DeviceVault
    try:
        vault = load_entry_point("vaults", "keyring", "keyring")(account)
        vault.find("")
    except Exception:  # noqa: BLE001 - not installed, no back end, or locked: the file will do
        name = "".join(c if c.isalnum() else "-" for c in account)
        folder = Path(typer.get_app_dir("oncegate"))
        vault = load_entry_point("vaults", "file", "all")(folder / f"devices-{name}.json")
    return vault


class WebDemo(Protocol):
    """A web application with a login page, and the phone beside it."""

    @property
    def url(self) -> str: ...
    def serve_forever(self) -> None: ...


def web_demo(cognito: LocalCognito, transport: Transport, *, hint: str, port: int) -> WebDemo:
    """The demo in the browser; it is not serving yet."""
    kind = load_entry_point("webs", "demo", "fastapi")
    demo: WebDemo = kind(
        cognito=cognito, transport=transport, store=memory_store(), hint=hint, port=port
    )
    return demo


def memory_store() -> RecordStore:
    """A store for one run of the command."""
    store: RecordStore = load_entry_point("stores", "memory", "all")()
    return store


def sandbox(*, port: int = 0, host: str = "127.0.0.1", seed: Path | None = None) -> LocalCognito:
    """A local Cognito that is not serving yet."""
    kind = load_entry_point("sandboxes", "local", "sandbox")
    played = kind.from_seed_file(seed, port=port, host=host) if seed else kind(port=port, host=host)
    cognito: LocalCognito = played
    return cognito
