"""The commands and their options. `oncegate_cli._commands` runs them, and is imported when called."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from oncegate_cli._options import Account, AtProvider, AuthFlow, DeviceAction, Exit, Format

app = typer.Typer(
    name="oncegate",
    help="Sign in to Amazon Cognito user pools. A code is only ever sent once per challenge.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rendering it with rich takes longer than everything else
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
PoolId = Annotated[
    str, typer.Option(envvar="ONCEGATE_POOL_ID", help="User pool ID, such as eu-west-1_aBcDeFgHi.")
]
ClientId = Annotated[str, typer.Option(envvar="ONCEGATE_CLIENT_ID", help="App client ID.")]
EndpointUrl = Annotated[str | None, typer.Option(help="URL of a Cognito replacement, for tests.")]
Username = Annotated[
    str | None,
    typer.Option(
        help="Username or alias. Default: prompt for it.",
        callback=lambda name: name and _checked_text("--username", name),
    ),
]
ClientMetadata = Annotated[
    list[str] | None,
    typer.Option(
        "--client-metadata",
        metavar="NAME=VALUE",
        help="For the pool's Lambda triggers. Can be repeated.",
    ),
]
AuthFlowOption = Annotated[AuthFlow, typer.Option("--auth-flow", help="Cognito's AuthFlow.")]
RememberDevice = Annotated[
    bool,
    typer.Option("--remember-device", help="Do not ask for a code on this device next time."),
]

ReadPool = Annotated[
    bool,
    typer.Option(
        "--read-pool",
        help="Read what the pool requires of its users (DescribeUserPool). Needs AWS credentials.",
    ),
]


def _metadata(given: list[str] | None) -> dict[str, str]:
    """Return ClientMetadata by name.

    Raises:
        typer.BadParameter: an item has no name, or is no UTF-8.
    """
    found = {}
    for item in given or ():
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise typer.BadParameter("--client-metadata: NAME=VALUE")
        found[name] = _checked_text("--client-metadata", value)
    return found


def _checked_text(option: str, value: str) -> str:
    """Return text; the shell can pass bytes that are no UTF-8, which cannot be sent."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter(f"{option}: not UTF-8") from None
    return value


def _print_version(wanted: bool) -> None:
    if wanted:
        from oncegate import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _all(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log every transition on stderr.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - typer calls _print_version
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    if verbose:
        import logging

        logging.basicConfig(stream=sys.stderr, format="%(message)s")
        logging.getLogger("oncegate").setLevel(logging.INFO)


@app.command()
def key() -> None:
    """Print a new key for an application: 32 random bytes. Store it as a secret."""
    from oncegate.adapters import new_key

    print(new_key())


@app.command()
def signin(
    pool_id: PoolId,
    client_id: ClientId,
    endpoint_url: EndpointUrl = None,
    username: Username = None,
    auth_flow: AuthFlowOption = "USER_SRP_AUTH",
    remember_device: RememberDevice = False,
    provider: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="PROVIDER",
            help="Identity provider to sign in with, in the browser, by Cognito's name: Google.",
        ),
    ] = None,
    domain: Annotated[
        str | None,
        typer.Option(
            envvar="ONCEGATE_DOMAIN",
            help="URL of the user pool's domain, for --with. Default: --endpoint-url.",
        ),
    ] = None,
    callback_port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65535,
            help="TCP port for --with. http://localhost:PORT/callback has to be one of the app "
            "client's callback URLs.",
        ),
    ] = 8765,
    no_browser: Annotated[
        bool,
        typer.Option("--no-browser", help="Print the address for --with, and open no browser."),
    ] = False,
    client_metadata: ClientMetadata = None,
    read_pool: ReadPool = False,
    as_json: JsonOption = False,
) -> None:
    """Sign in. Prompts on the terminal; the client secret is read from ONCEGATE_CLIENT_SECRET.

    Exit codes: 0 signed in, 1 refused, 2 usage, 3 Cognito unreachable, 130 interrupted.
    """
    at_provider = None
    if provider is not None:
        domain = domain or endpoint_url
        if not domain:
            raise typer.BadParameter("--with needs --domain, the URL of the user pool's domain")
        at_provider = AtProvider(provider, domain, callback_port, opens_browser=not no_browser)
    from oncegate_cli import _commands as commands

    account = Account(
        pool_id,
        client_id,
        endpoint_url,
        username,
        auth_flow,
        _metadata(client_metadata),
        read_pool,
    )
    raise typer.Exit(
        commands.sign_in(
            account, provider=at_provider, remember_device=remember_device, as_json=as_json
        )
    )


@app.command()
def signup(
    pool_id: PoolId,
    client_id: ClientId,
    endpoint_url: EndpointUrl = None,
    username: Username = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Attribute to prompt for, by Cognito's name, such as email: each that the pool "
            "requires. Can be repeated.",
        ),
    ] = None,
    passwordless: Annotated[
        bool,
        typer.Option(
            "--passwordless", help="Create the account without a password; implies USER_AUTH."
        ),
    ] = False,
    auth_flow: AuthFlowOption = "USER_SRP_AUTH",
    remember_device: RememberDevice = False,
    client_metadata: ClientMetadata = None,
    read_pool: ReadPool = False,
    as_json: JsonOption = False,
) -> None:
    """Create an account, confirm it with the code that Cognito sends, and sign in.

    Prompts, output and exit codes are those of `oncegate signin`.
    """
    from oncegate_cli import _commands as commands

    account = Account(
        pool_id,
        client_id,
        endpoint_url,
        username,
        "USER_AUTH" if passwordless else auth_flow,
        _metadata(client_metadata),
        read_pool,
    )
    raise typer.Exit(
        commands.sign_up(
            account,
            attributes=attribute or [],
            passwordless=passwordless,
            remember_device=remember_device,
            as_json=as_json,
        )
    )


@app.command()
def forgot_password(
    pool_id: PoolId,
    client_id: ClientId,
    endpoint_url: EndpointUrl = None,
    username: Username = None,
    auth_flow: AuthFlowOption = "USER_SRP_AUTH",
    remember_device: RememberDevice = False,
    client_metadata: ClientMetadata = None,
    read_pool: ReadPool = False,
    as_json: JsonOption = False,
) -> None:
    """Have a code sent, set a new password with it, and sign in.

    Prompts, output and exit codes are those of `oncegate signin`.
    """
    from oncegate_cli import _commands as commands

    account = Account(
        pool_id,
        client_id,
        endpoint_url,
        username,
        auth_flow,
        _metadata(client_metadata),
        read_pool,
    )
    raise typer.Exit(
        commands.forgot_password(account, remember_device=remember_device, as_json=as_json)
    )


@app.command()
def devices(
    action: Annotated[DeviceAction, typer.Argument(help="list, or forget one device.")],
    pool_id: PoolId,
    client_id: ClientId,
    key: Annotated[str | None, typer.Argument(help="Key of the device to forget.")] = None,
    endpoint_url: EndpointUrl = None,
    username: Username = None,
    auth_flow: AuthFlowOption = "USER_SRP_AUTH",
    client_metadata: ClientMetadata = None,
    as_json: JsonOption = False,
) -> None:
    """List the devices that Cognito remembers of you, or forget one. Signs you in first."""
    if action is DeviceAction.FORGET and not key:
        raise typer.BadParameter(
            "name the device to forget by its key; `oncegate devices list` shows the keys"
        )
    from oncegate_cli import _commands as commands

    account = Account(
        pool_id, client_id, endpoint_url, username, auth_flow, _metadata(client_metadata)
    )
    raise typer.Exit(commands.devices(action, account, key=key, as_json=as_json))


@app.command()
def check(
    store: Annotated[
        str | None,
        typer.Option(
            envvar="ONCEGATE_STORE", help="URL of the store, such as redis://localhost:6379/0."
        ),
    ] = None,
    pool_id: Annotated[
        str, typer.Option(envvar="ONCEGATE_POOL_ID", help="User pool ID. Default: none is checked.")
    ] = "",
    client_id: Annotated[
        str, typer.Option(envvar="ONCEGATE_CLIENT_ID", help="App client ID. Default: none.")
    ] = "",
    endpoint_url: EndpointUrl = None,
    auth_flow: AuthFlowOption = "USER_SRP_AUTH",
    as_json: JsonOption = False,
) -> None:
    """Check a store, a user pool and an app client. Needs no AWS credentials, and sends no code.

    A store in ONCEGATE_STORE does not show its password in the process list. The client secret is
    read from ONCEGATE_CLIENT_SECRET. Exit codes: 0 all is well, 1 a check failed, 2 usage.
    """
    if not store and not pool_id:
        raise typer.BadParameter("pass --store, --pool-id, or both")
    if client_id and not pool_id:
        raise typer.BadParameter("--client-id needs --pool-id")
    from oncegate_cli import _commands as commands

    account = Account(pool_id, client_id, endpoint_url, None, auth_flow)
    raise typer.Exit(commands.check(store, account, as_json=as_json))


@app.command("sandbox")
def run_sandbox(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="TCP port; 0 for any free one.")
    ] = 9300,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for all, as in a container.")
    ] = "127.0.0.1",
    seed: Annotated[
        Path | None, typer.Option(help="TOML file with a pool and users. Default: demo users.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="URL by which clients reach it. Default: its own.")
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve HTTPS with a certificate that is made at start.")
    ] = False,
    certfile: Annotated[
        Path | None, typer.Option(help="PEM certificate for HTTPS. Default: none.")
    ] = None,
    keyfile: Annotated[
        Path | None, typer.Option(help="Private key of --certfile. Default: in the same file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a local Cognito that SDKs can sign in against. Prints one line when it is ready."""
    from oncegate_cli import _commands as commands

    if keyfile and not certfile:
        raise typer.BadParameter("--keyfile needs --certfile")
    commands.run_sandbox(
        seed=seed,
        as_json=as_json,
        port=port,
        host=host,
        endpoint=endpoint,
        tls=tls,
        cert_file=certfile,
        key_file=keyfile,
    )


@app.command()
def demo(
    auto: Annotated[bool, typer.Option("--auto", help="Play three scenes unattended.")] = False,
    web: Annotated[
        bool, typer.Option("--web", help="Show the demo in the browser, as a web application.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="TCP port of the web page; 0 for any free one.")
    ] = 8000,
    as_json: JsonOption = False,
) -> None:
    """Sign in against a local Cognito, with the user's phone beside the prompt. Needs no AWS account."""
    from oncegate_cli import _commands as commands

    if web:
        commands.web_demo_at(port, as_json=as_json)
    else:
        raise typer.Exit(commands.demo(auto=auto, as_json=as_json))


@app.command()
def diagram(
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.MERMAID,
    write: Annotated[
        Path | None, typer.Option(help="Folder to write all diagrams to, in every format.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the sign-in machine, drawn from its class."""
    from oncegate_cli import _commands as commands

    commands.diagram(form, write=write, as_json=as_json)


@app.command()
def web_client(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="New or empty folder, or one written before.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Write the npm package for single-page applications, for ``npm install ./DIR``."""
    from oncegate_cli import _commands as commands

    commands.web_client(folder, as_json=as_json)


def run(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit code. No user input causes a traceback."""
    try:
        app(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except Exception as error:  # noqa: BLE001 - a bug is raised again
        return _code_of(error)
    if code == Exit.INTERRUPTED:
        _print_error("interrupted")
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader closed the pipe. Python would report it once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.REFUSED
    return code


def _code_of(error: Exception) -> Exit:
    # Imported here, because ``oncegate --help`` does not need the engine.
    from oncegate import MissingExtra, OncegateError, SignedOut, Unreachable

    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("oncegate"):
        error = MissingExtra("cli")
    if not isinstance(error, OncegateError):
        raise error
    _print_error(str(error))
    return {Unreachable: Exit.UNREACHABLE, SignedOut: Exit.REFUSED}.get(type(error), Exit.USAGE)


def _print_error(text: str) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text(f"oncegate: {text}", style="red"))
