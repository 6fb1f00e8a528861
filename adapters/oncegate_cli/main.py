"""The commands and their options."""

from __future__ import annotations

import json
import logging
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from oncegate import OncegateError, SignedOut, SignIn, Step, Unreachable
from oncegate_cli import demo as scenes
from oncegate_cli.diagram import Format, draw, write_all
from oncegate_cli.parts import cognito_transport, device_vault, memory_store, sandbox, web_demo
from oncegate_cli.parts import session as open_session
from oncegate_cli.signin import Exit, report, sign_in_at
from oncegate_cli.terminal import Terminal

app = typer.Typer(
    name="oncegate",
    help="Sign in to Amazon Cognito user pools. A code is only ever sent once per challenge.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


@app.callback()
def _all(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log every transition on stderr.")
    ] = False,
) -> None:
    if verbose:
        logging.basicConfig(stream=sys.stderr, format="%(message)s")
        logging.getLogger("oncegate").setLevel(logging.INFO)


PoolId = Annotated[str, typer.Option(envvar="ONCEGATE_POOL_ID", help="eu-west-1_aBcDeFgHi")]
ClientId = Annotated[str, typer.Option(envvar="ONCEGATE_CLIENT_ID", help="Of the app client.")]
EndpointUrl = Annotated[str | None, typer.Option(help="Of something that stands in for Cognito.")]
Username = Annotated[str | None, typer.Option(help="Asked for where it is not given.")]
AuthFlow = Annotated[
    str, typer.Option(help="USER_SRP_AUTH, USER_PASSWORD_AUTH, USER_AUTH or CUSTOM_AUTH.")
]


class _Person:
    """One person at one terminal, about to sign in to one pool."""

    def __init__(
        self,
        *,
        pool_id: str,
        client_id: str,
        endpoint_url: str | None,
        username: str | None,
        auth_flow: str,
    ) -> None:
        self.transport = cognito_transport(
            pool_id=pool_id,
            client_id=client_id,
            client_secret=os.environ.get("ONCEGATE_CLIENT_SECRET") or None,
            endpoint_url=endpoint_url,
            auth_flow=auth_flow,
        )
        self.vault = device_vault(pool_id, client_id)
        self.terminal = Terminal({"username": username} if username else None)

    def signs_in(self, *, remember_device: bool) -> tuple[Exit, Step]:
        sign_in = SignIn(
            transport=self.transport, store=memory_store(), vault=self.vault, keep_password=True
        )
        # A script is not asked.
        unasked = None if self.terminal.is_interactive else False
        return sign_in_at(self.terminal, sign_in, remember_device=remember_device or unasked)


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
    person = _Person(
        pool_id=pool_id,
        client_id=client_id,
        endpoint_url=endpoint_url,
        username=username,
        auth_flow=auth_flow,
    )
    code, step = person.signs_in(remember_device=remember_device)
    report(person.terminal, step, as_program=as_json)
    raise typer.Exit(code)


class DeviceAction(StrEnum):
    """What can be done with the devices that Cognito knows of a user."""

    LIST = "list"
    FORGET = "forget"


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
    person = _Person(
        pool_id=pool_id,
        client_id=client_id,
        endpoint_url=endpoint_url,
        username=username,
        auth_flow=auth_flow,
    )
    code, step = person.signs_in(remember_device=False)
    if step.tokens is None:
        report(person.terminal, step, as_program=as_json)
        raise typer.Exit(code)
    session = open_session(step.tokens, person.transport)
    if key:
        session.forget_device(key)
        own = person.vault.find(username or "")
        if own and own.key == key:
            person.vault.drop(own)
    listed = session.devices()
    if as_json:
        print(json.dumps([{"key": device.key, "name": device.name} for device in listed]))
        return
    table = Table("key", "name", "last signed in")
    for device in listed:
        table.add_row(device.key, device.name, f"{device.last_signed_in_at or ''}")
    Console().print(table)


@app.command("sandbox")
def run_sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 9300,
    seed: Annotated[Path | None, typer.Option(help="A TOML file with a pool and users.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a local Cognito that SDKs can sign in against. Prints one line when it is ready."""
    cognito = sandbox(port=port, seed=seed)
    cognito.listen()
    about = cognito.description()
    words = "  ".join(f"{name} {value}" for name, value in about.items())
    print(json.dumps(about) if as_json else words, flush=True)
    cognito.serve_forever()


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
    with sandbox() as cognito:
        if web:
            page = web_demo(cognito, scenes.transport_to(cognito), hint=scenes.HINT, port=port)
            print(json.dumps({"url": page.url}) if as_json else f"Open {page.url}", flush=True)
            page.serve_forever()
            raise typer.Exit(Exit.SIGNED_IN)
        if auto or not sys.stdin.isatty():
            played = scenes.play(cognito)
            if as_json:
                print(json.dumps([scene._asdict() for scene in played]))
            else:
                Console().print(scenes.table(played))
            kept = all(scene.texts <= 1 for scene in played)
            raise typer.Exit(Exit.SIGNED_IN if kept else Exit.REFUSED)
        Console(stderr=True, highlight=False).print(f"A local Cognito is running. {scenes.HINT}\n")
        terminal = Terminal(aside=lambda: scenes.phone(cognito))
        code, step = sign_in_at(terminal, scenes.sign_in_to(cognito))
        report(terminal, step, as_program=as_json)
    raise typer.Exit(code)


@app.command()
def diagram(
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.MERMAID,
    write: Annotated[
        Path | None, typer.Option(help="Write every format into this folder instead.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the sign-in machine, drawn from its class."""
    if write:
        files = [str(path) for path in write_all(write)]
        print(json.dumps(files) if as_json else "\n".join(files))
        return
    drawn = draw(form)
    print(json.dumps({"format": form, "diagram": drawn}) if as_json else drawn)


def run(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit code; nothing a person does makes a traceback."""
    try:
        app(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except OncegateError as error:
        _say(str(error))
        return {Unreachable: Exit.UNREACHABLE, SignedOut: Exit.REFUSED}.get(type(error), Exit.USAGE)
    if code == Exit.INTERRUPTED:
        _say("interrupted")
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.REFUSED
    return code


def _say(words: str) -> None:
    Console(stderr=True).print(Text(f"oncegate: {words}", style="red"))
