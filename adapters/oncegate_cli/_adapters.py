"""Makes the adapters that the commands use. This module alone imports other adapters, at first use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from oncegate import Misconfigured, MissingExtra, PasswordPolicy, Provider, SignUpForm, WaysIn
from oncegate.adapters import DeviceVault, RecordStore, TokenService, Transport
from oncegate_cli._options import Account

if TYPE_CHECKING:
    from oncegate_sandbox import Sandbox
    from oncegate_web.demo import Demo


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

    The client secret is read from the environment variable ``ONCEGATE_CLIENT_SECRET``.

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
        client_secret=os.environ.get("ONCEGATE_CLIENT_SECRET") or None,
        endpoint_url=account.endpoint_url,
        auth_flow=account.auth_flow,
    )


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


def token_service(transport: Transport) -> TokenService:
    """Return what lists and forgets the devices of a signed-in user.

    Raises:
        Misconfigured: the transport has no token service.
    """
    if transport.token_service is None:
        raise Misconfigured("this transport cannot list devices")
    return transport.token_service


def device_vault(account: Account) -> DeviceVault:
    """Make the vault for this user's devices: the system's keyring if it works, otherwise a file."""
    from oncegate_vaults import FileVault, KeyringVault

    name = f"{account.pool_id} {account.client_id}"
    try:
        keyring = KeyringVault(name)
        keyring.find("")
    except Exception:  # noqa: BLE001 - not installed, no back end, or locked
        file_name = "".join(c if c.isalnum() else "-" for c in name)
        return FileVault(Path(typer.get_app_dir("oncegate")) / f"devices-{file_name}.json")
    return keyring


def issuer(pool_id: str, endpoint_url: str | None) -> str:
    """Return the URL of a user pool, below which its public keys are.

    Args:
        pool_id: user pool ID.
        endpoint_url: URL of a Cognito replacement; None for Cognito.

    Raises:
        Misconfigured: the pool ID is malformed, or the endpoint is not secure.
        MissingExtra: the extra ``cognito`` is not installed.
    """
    with needs_extra("cognito"):
        from oncegate_cognito import TokenVerifier
    TokenVerifier(pool_id=pool_id, client_id="unused", endpoint_url=endpoint_url)
    region = pool_id.partition("_")[0]
    host = endpoint_url or f"https://cognito-idp.{region}.amazonaws.com"
    return f"{host.rstrip('/')}/{pool_id}"


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
