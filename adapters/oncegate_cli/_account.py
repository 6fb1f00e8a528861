"""The options that say where to sign in, as whom and how: one list for all commands.

A value comes from the command line, otherwise from the environment, otherwise from the profile.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

import typer

from oncegate_cli._options import DEFAULT_PROFILE, Account, AuthFlow

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")

CLIENT: Final = ("profile", "pool_id", "client_id", "endpoint_url", "username")
"""Options of every command: the app client, and the user."""

SIGN_IN: Final = (*CLIENT, "auth_flow", "client_metadata", "remember_device", "reads_pool")
"""Options of every command that signs in."""

WITH_PROVIDER: Final = (*SIGN_IN, "provider", "domain", "callback_port")
"""The same, and those of identity providers."""

CHECK: Final = (
    *("profile", "pool_id", "client_id", "endpoint_url", "auth_flow", "domain", "reads_pool"),
)
"""Options of what is checked without signing in."""


def checked_text(option: str, value: str) -> str:
    """Return text; the shell can pass bytes that are no UTF-8, which cannot be sent.

    Raises:
        typer.BadParameter: it is no UTF-8.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter(f"{option}: not UTF-8") from None
    return value


def metadata(given: list[str] | None) -> dict[str, str]:
    """Return ClientMetadata by name.

    Args:
        given: texts such as ``tenant=a``.

    Raises:
        typer.BadParameter: an item has no name, or is no UTF-8.
    """
    found = {}
    for item in given or ():
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise typer.BadParameter("--client-metadata: NAME=VALUE")
        found[name] = checked_text("--client-metadata", value)
    return found


def _profile_name(name: str) -> str:
    """Return a profile's name, which becomes part of a file's name."""
    if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum() or len(name) > 64:
        raise typer.BadParameter("--profile: at most 64 letters, digits, - and _")
    return name


class _Option(NamedTuple):
    """An option, for typer. Without a value, the profile's counts, and then the account's default."""

    kind: Any
    default: Any = None


_OPTIONS: Final[Mapping[str, _Option]] = {
    "profile": _Option(
        Annotated[
            str,
            typer.Option(
                envvar="ONCEGATE_PROFILE",
                help="Profile in config.toml, with a session of its own.",
                callback=_profile_name,
            ),
        ],
        DEFAULT_PROFILE,
    ),
    "pool_id": _Option(
        Annotated[
            str | None,
            typer.Option(
                envvar="ONCEGATE_POOL_ID", help="User pool ID, such as eu-west-1_aBcDeFgHi."
            ),
        ]
    ),
    "client_id": _Option(
        Annotated[str | None, typer.Option(envvar="ONCEGATE_CLIENT_ID", help="App client ID.")]
    ),
    "endpoint_url": _Option(
        Annotated[
            str | None,
            typer.Option(
                envvar="ONCEGATE_ENDPOINT_URL", help="URL of a Cognito replacement, for tests."
            ),
        ]
    ),
    "username": _Option(
        Annotated[
            str | None,
            typer.Option(
                envvar="ONCEGATE_USERNAME",
                help="Username or alias. Default: the user who is signed in, or a prompt.",
                callback=lambda name: name and checked_text("--username", name),
            ),
        ]
    ),
    "auth_flow": _Option(
        Annotated[
            AuthFlow | None,
            typer.Option(
                envvar="ONCEGATE_AUTH_FLOW", help="Cognito's AuthFlow. Default: USER_SRP_AUTH."
            ),
        ]
    ),
    "client_metadata": _Option(
        Annotated[
            list[str] | None,
            typer.Option(
                metavar="NAME=VALUE", help="For the pool's Lambda triggers. Can be repeated."
            ),
        ]
    ),
    "remember_device": _Option(
        Annotated[
            bool | None,
            typer.Option(
                "--remember-device/--no-remember-device",
                help="Do not ask for a code on this device next time. Default: a user at a terminal "
                "is asked if the pool does so.",
            ),
        ]
    ),
    "reads_pool": _Option(
        Annotated[
            bool,
            typer.Option(
                "--read-pool",
                help="Read what the pool requires of its users (DescribeUserPool). Needs AWS "
                "credentials.",
            ),
        ],
        False,
    ),
    "provider": _Option(
        Annotated[
            str | None,
            typer.Option(
                "--with",
                metavar="PROVIDER",
                help="Identity provider to sign in with, in the browser, by Cognito's name: Google.",
            ),
        ]
    ),
    "domain": _Option(
        Annotated[
            str | None,
            typer.Option(
                envvar="ONCEGATE_DOMAIN",
                help="URL of the user pool's domain, for identity providers. Default: "
                "--endpoint-url.",
            ),
        ]
    ),
    "callback_port": _Option(
        Annotated[
            int | None,
            typer.Option(
                min=0,
                max=65535,
                help="TCP port for --with. http://localhost:PORT/callback has to be one of the app "
                "client's callback URLs. Default: 8765.",
            ),
        ]
    ),
}


def takes_account(
    options: tuple[str, ...], *, needs_client: bool = True
) -> Callable[[Callable[Concatenate[Account, _Given], _Result]], Callable[..., _Result]]:
    """Give a command the options of an account, which is its first argument.

    Args:
        options: names of the options, such as `SIGN_IN`.
        needs_client: whether a user pool and an app client have to be named. Otherwise their IDs are
            empty if they are not.
    """

    def give(command: Callable[Concatenate[Account, _Given], _Result]) -> Callable[..., _Result]:
        _, *own = inspect.signature(command, eval_str=True).parameters.values()

        @wraps(command)
        def run(**given: Any) -> Any:
            chosen = {name: given.pop(name) for name in options}
            call: Callable[..., _Result] = command
            return call(_account_of(chosen, needs_client=needs_client), **given)

        shared = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=_OPTIONS[name].default,
                annotation=_OPTIONS[name].kind,
            )
            for name in options
        ]
        parameters = [*shared, *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own)]
        # What typer reads, instead of the command's own.
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run

    return give


def _account_of(given: Mapping[str, Any], *, needs_client: bool) -> Account:
    """Return the account of options, completed by their profile.

    Raises:
        typer.BadParameter: a value is invalid, or a needed one is missing.
        Misconfigured: the profile does not exist, or its file is malformed.
    """
    # Imported here: pydantic takes longer than everything that `--help` needs.
    from oncegate_cli._profiles import settings_of

    chosen = {name: value for name, value in given.items() if value is not None}
    in_profile = settings_of(chosen["profile"])
    values = {
        "pool_id": "",
        "client_id": "",
        "endpoint_url": None,
        "username": None,
        "auth_flow": "USER_SRP_AUTH",
        **in_profile,
        **chosen,
        "client_metadata": metadata(given.get("client_metadata")),
    }
    if needs_client:
        for name in ("pool_id", "client_id"):
            if not values[name]:
                option = f"--{name.replace('_', '-')}"
                raise typer.BadParameter(
                    f"missing {option}: pass it, set ONCEGATE_{name.upper()}, or write {name} into "
                    f"[profile.{values['profile']}] of {_config_path()}"
                )
    return Account(**values)


def _config_path() -> str:
    from oncegate_cli._profiles import folder

    return str(folder() / "config.toml")
