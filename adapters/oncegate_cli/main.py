"""The commands and their options."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from oncegate import OncegateError, SignIn
from oncegate_cli import demo as scenes
from oncegate_cli.diagram import Format, draw, write_all
from oncegate_cli.parts import cognito_transport, memory_store, sandbox
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


@app.command()
def signin(
    pool_id: Annotated[str, typer.Option(envvar="ONCEGATE_POOL_ID", help="eu-west-1_aBcDeFgHi")],
    client_id: Annotated[str, typer.Option(envvar="ONCEGATE_CLIENT_ID", help="Of the app client.")],
    endpoint_url: Annotated[
        str | None, typer.Option(help="Of something that stands in for Cognito.")
    ] = None,
    username: Annotated[str | None, typer.Option(help="Asked for where it is not given.")] = None,
    auth_flow: Annotated[
        str, typer.Option(help="USER_SRP_AUTH or USER_PASSWORD_AUTH.")
    ] = "USER_SRP_AUTH",
    remember_device: Annotated[
        bool, typer.Option("--remember-device", help="Has no effect in this version.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Sign in. Prompts on the terminal; the client secret is read from ONCEGATE_CLIENT_SECRET.

    Exit codes: 0 signed in, 1 refused, 2 usage, 3 Cognito unreachable, 130 interrupted.
    """
    sign_in = SignIn(
        transport=cognito_transport(
            pool_id=pool_id,
            client_id=client_id,
            client_secret=os.environ.get("ONCEGATE_CLIENT_SECRET") or None,
            endpoint_url=endpoint_url,
            auth_flow=auth_flow,
        ),
        store=memory_store(),
    )
    terminal = Terminal({"username": username} if username else None)
    code, step = sign_in_at(terminal, sign_in, remember_device=remember_device or None)
    report(terminal, step, as_program=as_json)
    raise typer.Exit(code)


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
    as_json: JsonOption = False,
) -> None:
    """Sign in against a local Cognito, with the phone beside the prompt. Needs no AWS account."""
    with sandbox() as cognito:
        if auto or not sys.stdin.isatty():
            played = scenes.play(cognito)
            if as_json:
                print(json.dumps([scene._asdict() for scene in played]))
            else:
                Console().print(scenes.table(played))
            kept = all(scene.texts <= 1 for scene in played)
            raise typer.Exit(Exit.SIGNED_IN if kept else Exit.REFUSED)
        Console(stderr=True, highlight=False).print(
            f"A local Cognito is running. Sign in as [bold]{scenes.USERNAME}[/] "
            f"with [bold]{scenes.PASSWORD}[/]; the code arrives on the phone.\n"
        )
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
        return Exit.USAGE
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
