"""The commands and their options. What they do is in `oncegate_cli.commands`, imported when called."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from oncegate_cli.options import Account, DeviceAction, Exit, Format

app = typer.Typer(
    name="oncegate",
    help="Sign in to Amazon Cognito user pools. A code is only ever sent once per challenge.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: drawing it with rich takes longer than all the rest
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
PoolId = Annotated[str, typer.Option(envvar="ONCEGATE_POOL_ID", help="eu-west-1_aBcDeFgHi")]
ClientId = Annotated[str, typer.Option(envvar="ONCEGATE_CLIENT_ID", help="Of the app client.")]
EndpointUrl = Annotated[str | None, typer.Option(help="Of something that stands in for Cognito.")]
Username = Annotated[str | None, typer.Option(help="Asked for where it is not given.")]
AuthFlow = Annotated[
    str, typer.Option(help="USER_SRP_AUTH, USER_PASSWORD_AUTH, USER_AUTH or CUSTOM_AUTH.")
]


@app.callback()
def _all(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log every transition on stderr.")
    ] = False,
) -> None:
    if verbose:
        import logging

        logging.basicConfig(stream=sys.stderr, format="%(message)s")
        logging.getLogger("oncegate").setLevel(logging.INFO)


@app.command()
def signin(
    pool_id: PoolId,
    client_id: ClientId,
    endpoint_url: EndpointUrl = None,
    username: Username = None,
    auth_flow: AuthFlow = "USER_SRP_AUTH",
    remember_device: Annotated[
        bool,
        typer.Option("--remember-device", help="Do not ask for a code on this device next time."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Sign in. Prompts on the terminal; the client secret is read from ONCEGATE_CLIENT_SECRET.

    Exit codes: 0 signed in, 1 refused, 2 usage, 3 Cognito unreachable, 130 interrupted.
    """
    from oncegate_cli import commands

    account = Account(pool_id, client_id, endpoint_url, username, auth_flow)
    raise typer.Exit(commands.sign_in(account, remember_device=remember_device, as_json=as_json))


@app.command()
def devices(
    action: Annotated[DeviceAction, typer.Argument(help="list, or forget one.")],
    pool_id: PoolId,
    client_id: ClientId,
    key: Annotated[str | None, typer.Argument(help="Of the device to forget.")] = None,
    endpoint_url: EndpointUrl = None,
    username: Username = None,
    auth_flow: AuthFlow = "USER_SRP_AUTH",
    as_json: JsonOption = False,
) -> None:
    """List the devices that Cognito remembers of you, or forget one. Signs you in first."""
    if action is DeviceAction.FORGET and not key:
        raise typer.BadParameter("name the device to forget by its key; list shows them")
    from oncegate_cli import commands

    account = Account(pool_id, client_id, endpoint_url, username, auth_flow)
    raise typer.Exit(commands.devices(action, account, key=key, as_json=as_json))


@app.command("sandbox")
def run_sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 9300,
    seed: Annotated[Path | None, typer.Option(help="A TOML file with a pool and users.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a local Cognito that SDKs can sign in against. Prints one line when it is ready."""
    from oncegate_cli import commands

    commands.run_sandbox(port=port, seed=seed, as_json=as_json)


@app.command()
def demo(
    auto: Annotated[bool, typer.Option("--auto", help="Play three scenes unattended.")] = False,
    web: Annotated[
        bool, typer.Option("--web", help="In the browser, as a web app has it.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the web page.")] = 8000,
    as_json: JsonOption = False,
) -> None:
    """Sign in against a local Cognito, with the phone beside the prompt. Needs no AWS account."""
    from oncegate_cli import commands

    if web:
        commands.web_demo_at(port, as_json=as_json)
    else:
        raise typer.Exit(commands.demo(auto=auto, as_json=as_json))


@app.command()
def diagram(
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.MERMAID,
    write: Annotated[
        Path | None, typer.Option(help="Write every format into this folder instead.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the sign-in machine, drawn from its class."""
    from oncegate_cli import commands

    commands.diagram(form, write=write, as_json=as_json)


def run(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit code; nothing a person does makes a traceback."""
    try:
        app(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except Exception as error:  # noqa: BLE001 - what is not ours is raised again
        return _code_of(error)
    if code == Exit.INTERRUPTED:
        _say("interrupted")
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.REFUSED
    return code


def _code_of(error: Exception) -> Exit:
    # Imported here, because ``oncegate --help`` has no use for the engine.
    from oncegate import OncegateError, SignedOut, Unreachable

    if not isinstance(error, OncegateError):
        raise error
    _say(str(error))
    return {Unreachable: Exit.UNREACHABLE, SignedOut: Exit.REFUSED}.get(type(error), Exit.USAGE)


def _say(words: str) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text(f"oncegate: {words}", style="red"))
