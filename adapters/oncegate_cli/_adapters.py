"""Makes the adapters that the commands use. This module alone imports other adapters, at first use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from oncegate import (
    MissingExtra,
    PasswordPolicy,
    Provider,
    SignUpForm,
    Tokens,
    WaysIn,
)
from oncegate.adapters import DeviceVault, Finding, RecordStore, Transport
from oncegate_cli._options import Account

if TYPE_CHECKING:
    from oncegate.account import Account as AccountDriver
    from oncegate_cli._sessions import KeptSession
    from oncegate_cognito import CognitoTokenService
    from oncegate_sandbox import Sandbox
    from oncegate_web.demo import Demo

_CODE_OF_AN_ADDRESS_LIVES: Final = 86400.0
"""Seconds for which Cognito takes the code that verifies an address."""


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Report a package that cannot be imported in the block as a missing extra.

    Args:
        extra: the extra of oncegate that installs the packages.

    Raises:
        MissingExtra: a package is not installed.
        ModuleNotFoundError: a module of oncegate itself is missing, which no extra would install.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("oncegate"):
            raise
        raise MissingExtra(extra) from error


def cognito_transport(
    account: Account,
    *,
    ways_in: WaysIn | None = None,
    domain: str | None = None,
    redirect_uri: str = "",
) -> Transport:
    """Make the transport to an account's app client.

    The client secret is that of the environment variable ``ONCEGATE_CLIENT_SECRET``, or else the entry
    ``client-secret POOL CLIENT`` of the service ``oncegate`` in the system's keyring.

    Args:
        account: the app client.
        ways_in: what the first step offers beside the sign-in. Default: a reset of the password.
        domain: URL of the user pool's domain, for identity providers. Default: none is used.
        redirect_uri: where the browser comes back to from the domain.

    Raises:
        Misconfigured: an option is invalid.
        MissingExtra: the extra ``cognito`` is not installed, or ``oauth`` if there is a domain.
    """
    with needs_extra("cognito"):
        from oncegate_cognito import CognitoTransport, ManagedLogin
    return CognitoTransport(
        managed_login=ManagedLogin(domain=domain, redirect_uri=redirect_uri) if domain else None,
        ways_in=ways_in,
        pool_id=account.pool_id,
        client_id=account.client_id,
        client_secret=os.environ.get("ONCEGATE_CLIENT_SECRET") or _stored_secret(account),
        endpoint_url=account.endpoint_url,
        auth_flow=account.auth_flow,
    )


def _stored_secret(account: Account) -> str | None:
    """Return the app client's secret in the system's keyring; None if there is none, or no keyring."""
    try:
        keyring = import_module("keyring")
        name = f"client-secret {account.pool_id} {account.client_id}"
        found: str | None = keyring.get_password("oncegate", name)
    except Exception:  # noqa: BLE001 - not installed, no back end, or locked
        return None
    return found or None


def pool_settings(account: Account) -> tuple[WaysIn, PasswordPolicy]:
    """Read what a user pool offers and requires, with the AWS credentials that boto3 finds.

    Raises:
        Misconfigured: there are no credentials, or they do not allow it.
        Unreachable: Cognito did not answer.
        MissingExtra: the extra ``cognito`` is not installed.
    """
    with needs_extra("cognito"):
        from oncegate_cognito.pool import read_pool
    settings = read_pool(account.pool_id, endpoint_url=account.endpoint_url)
    return settings.ways_in, settings.password_policy


def account_driver(account: Account, path: Path) -> AccountDriver:
    """Make the driver for what the user changes in the account.

    Args:
        account: the app client.
        path: file of the store that keeps the flows between commands. It has no key to them.

    Raises:
        Misconfigured: an option is invalid.
        MissingExtra: the extra ``cognito`` is not installed.
    """
    from oncegate.account import Account as AccountDriver
    from oncegate_stores import SQLiteStore

    return AccountDriver(
        transport=cognito_transport(account),
        store=SQLiteStore(path),
        lifetime=_CODE_OF_AN_ADDRESS_LIVES,
        password_policy=pool_settings(account)[1] if account.reads_pool else None,
    )


def local_transport(cognito: Sandbox, redirect_uri: str | None = None) -> Transport:
    """Make the transport to a local Cognito, whose users can sign up with an email address.

    Args:
        cognito: the local Cognito.
        redirect_uri: URL to which identity providers send the browser back; None to offer none.
    """
    with needs_extra("cognito"):
        from oncegate_cognito import CognitoTransport, ManagedLogin
    # One host name for all pages, so that the browser sends its cookies when it comes back.
    domain = cognito.endpoint.replace("//127.0.0.1:", "//localhost:")
    providers = (Provider(name="Google"),) if redirect_uri else ()
    return CognitoTransport(
        pool_id=cognito.pool_id,
        client_id=cognito.client_id,
        endpoint_url=cognito.endpoint,
        ways_in=WaysIn(sign_up=SignUpForm(attributes=("email",)), providers=providers),
        managed_login=ManagedLogin(domain, redirect_uri) if redirect_uri else None,
    )


def service(account: Account, *, redirect_uri: str = "") -> CognitoTokenService:
    """Return what renews, checks and revokes the tokens of an app client.

    Args:
        account: the app client, and the domain that has a session of its own, if any.
        redirect_uri: where the browser came back to from that domain.

    Raises:
        Misconfigured: an option is invalid.
        MissingExtra: the extra ``cognito`` is not installed.
    """
    domain = account.domain if redirect_uri else None
    transport = cognito_transport(account, domain=domain, redirect_uri=redirect_uri)
    with needs_extra("cognito"):
        from oncegate_cognito import CognitoTokenService
    made = transport.token_service
    assert isinstance(made, CognitoTokenService)
    return made


def renewed(
    account: Account, tokens: Tokens, *, issued_at: float, save: Callable[[Tokens], None]
) -> Tokens:
    """Return tokens, renewed first if the access token is about to expire.

    Args:
        account: the app client.
        tokens: the current tokens.
        issued_at: time of issue, in seconds since the epoch.
        save: called with the new tokens.

    Raises:
        SignedOut: the session has ended.
        Unreachable: the access token has expired, and Cognito did not answer or refused for now.
        Misconfigured: the access token has expired, and Cognito refused because of the set-up.
    """
    made = service(account)
    from oncegate_cognito import Session

    return Session(tokens, made, issued_at=issued_at, on_refresh=save).tokens()


def logout_url(account: Account, session: KeptSession) -> str | None:
    """Return the URL that ends managed login's own session in the browser; None if it has none."""
    if not session.tokens.by_managed_login:
        return None
    made = service(account._replace(domain=session.domain), redirect_uri=session.redirect_uri)
    return made.logout_url(session.tokens, session.redirect_uri)


def replace_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically.

    Raises:
        OSError: it cannot be written.
    """
    from oncegate_vaults.private_files import replace_private as replace

    replace(path, text)


def device_vault(account: Account) -> DeviceVault:
    """Make the vault for this user's devices: the system's keyring if it works, otherwise a file."""
    from oncegate_cli._profiles import folder
    from oncegate_vaults import FileVault, KeyringVault

    name = f"{account.pool_id} {account.client_id}"
    try:
        keyring = KeyringVault(name)
        keyring.find("")
    except Exception:  # noqa: BLE001 - not installed, no back end, or locked
        file_name = "".join(c if c.isalnum() else "-" for c in name)
        return FileVault(folder() / f"devices-{file_name}.json")
    return keyring


def forget_device(account: Account, username: str, key: str) -> None:
    """Delete a device's secret here, if it is the one of this user on this machine."""
    vault = device_vault(account)
    own = vault.find(username)
    if own and own.key == key:
        vault.remove(own)


def cognito_findings(account: Account, redirect_uri: str = "") -> list[Finding]:
    """Check a user pool, and its app client if one is named.

    Args:
        account: the pool and the client. Settings are read with AWS credentials if it says so.
        redirect_uri: callback URL of managed login at the account's domain; empty to leave it out.

    Raises:
        Misconfigured: an option is malformed.
        MissingExtra: the extra ``cognito`` is not installed, or ``oauth`` if there is a callback URL.
    """
    with needs_extra("cognito"):
        from oncegate_cognito import CognitoTransport
        from oncegate_cognito.pool import check_pool
    if not account.client_id:
        return check_pool(account.pool_id, endpoint_url=account.endpoint_url)
    domain = account.domain if redirect_uri else None
    transport = cognito_transport(account, domain=domain, redirect_uri=redirect_uri)
    assert isinstance(transport, CognitoTransport)
    return transport.check(read_pool=account.reads_pool)


def store_from_url(url: str) -> RecordStore:
    """Make the store of a URL.

    Raises:
        Misconfigured: the URL is invalid.
        MissingExtra: the extra of the store is not installed.
    """
    from oncegate_stores import store_from_url as make

    return make(url)


def memory_store() -> RecordStore:
    """Make a store for one run of the command."""
    from oncegate_stores import MemoryStore

    return MemoryStore()


def sandbox(*, seed: Path | None = None, **options: Any) -> Sandbox:
    """Make a local Cognito that is not serving yet.

    Args:
        seed: TOML file with a pool and users. Default: the demo users.
        options: further arguments of `oncegate_sandbox.Sandbox`.

    Raises:
        MissingExtra: the extra ``sandbox`` is not installed.
    """
    with needs_extra("sandbox"):
        from oncegate_sandbox import Sandbox
    return Sandbox.from_seed_file(seed, **options) if seed else Sandbox(**options)


def web_demo(cognito: Sandbox, *, hint: str, port: int) -> Demo:
    """Make the demo in the browser; it is not serving yet.

    Args:
        cognito: local Cognito.
        hint: text for the page: who can sign in.
        port: TCP port of the page; 0 for any free one.

    Raises:
        MissingExtra: the extra ``fastapi`` is not installed.
    """
    with needs_extra("fastapi"):
        from oncegate_web.demo import Demo
    return Demo(
        cognito=cognito,
        transport_for=partial(local_transport, cognito),
        store=memory_store(),
        hint=hint,
        port=port,
    )


def web_client(folder: Path) -> list[Path]:
    """Write the npm package of the script module, and return its files.

    Args:
        folder: new, empty, or written before.

    Raises:
        Misconfigured: the folder has other files, or cannot be written.
        MissingExtra: the extra ``web`` is not installed.
    """
    with needs_extra("web"):
        from oncegate_web.client import write_package
    return write_package(folder)
