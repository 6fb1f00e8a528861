"""The commands and their options. `oncegate_cli._commands` runs them, and is imported when called."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from oncegate_cli._account import CHECK, CLIENT, SIGN_IN, WITH_PROVIDER, takes_account
from oncegate_cli._options import (
    Account,
    DeviceAction,
    Exit,
    FactorName,
    FactorUse,
    Format,
    Machine,
    printable,
)

app = typer.Typer(
    name="oncegate",
    help="Sign in to Amazon Cognito user pools. A code is only ever sent once per challenge.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rendering it with rich takes longer than everything else
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
PasswordStdin = Annotated[
    bool,
    typer.Option(
        "--password-stdin", help="Read the password from the first line of standard input."
    ),
]
NoBrowser = Annotated[
    bool, typer.Option("--no-browser", help="Print addresses for the browser, and open none.")
]


class _ShownByDefault(TyperGroup):
    """A group whose name alone is its command ``show``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["show", *args]
        return super().parse_args(ctx, args)


account_app = typer.Typer(
    cls=_ShownByDefault,
    rich_markup_mode=None,
    help="Show and change the account of the user who is signed in.",
)
app.add_typer(account_app, name="account")


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
    handler = logging.StreamHandler(sys.stderr)
    if verbose:
        logging.getLogger("oncegate").setLevel(logging.INFO)
    else:
        handler.setLevel(logging.WARNING)
        handler.addFilter(_is_no_step)
    logging.basicConfig(handlers=[handler], format="%(message)s")


def _is_no_step(record: logging.LogRecord) -> bool:
    """Return whether a line tells what the terminal does not: a transition is on the screen already."""
    is_transition = record.name == "oncegate" and '"event": "transition"' in record.getMessage()
    return record.levelname == "ERROR" or not is_transition


@app.command()
def key() -> None:
    """Print a new key for an application: 32 random bytes. Store it as a secret."""
    from oncegate.adapters import new_key

    print(new_key())


@app.command()
@takes_account(WITH_PROVIDER)
def login(
    account: Account,
    no_browser: NoBrowser = False,
    password_stdin: PasswordStdin = False,
    insecure_storage: Annotated[
        bool,
        typer.Option(
            "--insecure-storage", help="Keep the tokens in a plain file that only you can read."
        ),
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Sign in although you are signed in, as some changes of an account need.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Sign in, and keep the session for the next commands. Sends nothing if you are signed in.

    Another user than the one who is signed in replaces the session. Exit codes: 0 signed in, 1 refused,
    2 usage, 3 Cognito unreachable, 130 interrupted.
    """
    account = _ready(account, password_stdin=password_stdin)
    from oncegate_cli import _commands as commands

    raise typer.Exit(
        commands.login(
            account,
            reads_password=password_stdin,
            opens_browser=not no_browser,
            insecure=insecure_storage,
            again=again,
            as_json=as_json,
        )
    )


@app.command()
@takes_account(WITH_PROVIDER)
def signin(
    account: Account,
    no_browser: NoBrowser = False,
    password_stdin: PasswordStdin = False,
    as_json: JsonOption = False,
) -> None:
    """Sign in as `oncegate login` does, and keep nothing: --json prints the tokens.

    Exit codes: 0 signed in, 1 refused, 2 usage, 3 Cognito unreachable, 130 interrupted.
    """
    account = _ready(account, password_stdin=password_stdin)
    from oncegate_cli import _commands as commands

    raise typer.Exit(
        commands.sign_in(
            account,
            reads_password=password_stdin,
            opens_browser=not no_browser,
            as_json=as_json,
        )
    )


@app.command()
@takes_account(CLIENT)
def status(account: Account, as_json: JsonOption = False) -> None:
    """Show who is signed in, until when, and where the tokens are. Shows no token.

    Exit codes: 0 signed in, 4 sign in first, 2 usage, 3 Cognito unreachable.
    """
    from oncegate_cli import _commands as commands

    raise typer.Exit(commands.status(account, as_json=as_json))


@app.command()
@takes_account(CLIENT)
def token(
    account: Account,
    is_id: Annotated[bool, typer.Option("--id", help="Print the ID token instead.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the access token, renewed if it is about to expire, and nothing else.

    Exit codes: 0 printed, 4 sign in first, 2 usage, 3 Cognito unreachable.
    """
    from oncegate_cli import _commands as commands

    raise typer.Exit(commands.token(account, is_id=is_id, as_json=as_json))


@app.command()
@takes_account(CLIENT)
def logout(account: Account, no_browser: NoBrowser = False, as_json: JsonOption = False) -> None:
    """Revoke the tokens at Cognito, and forget them here in any case.

    Exit codes: 0 signed out, 2 usage, 3 forgotten here but not revoked.
    """
    from oncegate_cli import _commands as commands

    raise typer.Exit(commands.logout(account, opens_browser=not no_browser, as_json=as_json))


def _ready(account: Account, *, password_stdin: bool) -> Account:
    """Return an account that is complete for a sign-in with its provider or password.

    Raises:
        typer.BadParameter: an option is missing, or does not fit the others.
    """
    if password_stdin:
        if account.provider:
            raise typer.BadParameter("--password-stdin: --with needs no password here")
        if not account.username:
            raise typer.BadParameter("--password-stdin needs --username")
        if sys.stdin.isatty():
            raise typer.BadParameter(
                "--password-stdin: standard input is a terminal; leave the option out to be prompted"
            )
    if not account.provider:
        return account._replace(provider=None)
    domain = account.domain or account.endpoint_url
    if not domain:
        raise typer.BadParameter("--with needs --domain, the URL of the user pool's domain")
    return account._replace(domain=domain)


@app.command()
@takes_account(SIGN_IN)
def signup(
    account: Account,
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
    as_json: JsonOption = False,
) -> None:
    """Create an account, confirm it with the code that Cognito sends, and sign in. Keeps nothing.

    Prompts, output and exit codes are those of `oncegate signin`.
    """
    from oncegate_cli import _commands as commands

    if passwordless:
        account = account._replace(auth_flow="USER_AUTH")
    raise typer.Exit(
        commands.sign_up(
            account, attributes=attribute or [], passwordless=passwordless, as_json=as_json
        )
    )


@app.command()
@takes_account(SIGN_IN)
def forgot_password(account: Account, as_json: JsonOption = False) -> None:
    """Have a code sent, set a new password with it, and sign in. Keeps nothing.

    Prompts, output and exit codes are those of `oncegate signin`.
    """
    from oncegate_cli import _commands as commands

    raise typer.Exit(commands.forgot_password(account, as_json=as_json))


@app.command()
@takes_account(WITH_PROVIDER)
def devices(
    account: Account,
    action: Annotated[DeviceAction, typer.Argument(help="list, or forget one device.")],
    key: Annotated[str | None, typer.Argument(help="Key of the device to forget.")] = None,
    no_browser: NoBrowser = False,
    as_json: JsonOption = False,
) -> None:
    """List the devices that Cognito remembers of you, or forget one.

    Uses the session of `oncegate login`. Without one, it signs in as `oncegate signin` does, and keeps
    nothing. Exit codes are those of `oncegate signin`, and 4 if there is neither a session nor a
    --username nor a terminal.
    """
    if action is DeviceAction.FORGET and not key:
        raise typer.BadParameter(
            "name the device to forget by its key; `oncegate devices list` shows the keys"
        )
    from oncegate_cli import _commands as commands

    account = _ready(account, password_stdin=False)
    raise typer.Exit(
        commands.devices(action, account, key=key, opens_browser=not no_browser, as_json=as_json)
    )


@account_app.command("show")
@takes_account(CLIENT)
def account_show(account: Account, as_json: JsonOption = False) -> None:
    """Show addresses, second factors, passkeys and devices. The same as `oncegate account`."""
    from oncegate_cli import _changes as changes

    raise typer.Exit(changes.show(account, as_json=as_json))


@account_app.command()
@takes_account(CLIENT)
def add_authenticator(
    account: Account,
    name: Annotated[str, typer.Option(help="Name of the app or its device.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Set up an authenticator app: shows a QR code, and prompts for the first code of the app."""
    from oncegate_cli import _changes as changes

    raise typer.Exit(changes.add_authenticator(account, name=name, as_json=as_json))


@account_app.command()
@takes_account(CLIENT)
def set_phone(
    account: Account,
    number: Annotated[str, typer.Argument(help="With country code, such as +15550001234.")],
    as_json: JsonOption = False,
) -> None:
    """Change the phone number: Cognito sends a code to it by SMS, which the command prompts for.

    The same command again goes on with the code that was sent, and sends none.
    """
    from oncegate.account import SubmitAddress
    from oncegate_cli import _changes as changes

    raise typer.Exit(
        changes.set_address(
            account,
            lambda: SubmitAddress(attribute="phone_number", address=number),
            as_json=as_json,
        )
    )


@account_app.command()
@takes_account(CLIENT)
def set_email(
    account: Account,
    address: Annotated[str, typer.Argument(help="Such as ana@example.com.")],
    as_json: JsonOption = False,
) -> None:
    """Change the email address: Cognito emails a code to it, which the command prompts for.

    The same command again goes on with the code that was sent, and sends none.
    """
    from oncegate.account import SubmitAddress
    from oncegate_cli import _changes as changes

    raise typer.Exit(
        changes.set_address(
            account, lambda: SubmitAddress(attribute="email", address=address), as_json=as_json
        )
    )


@account_app.command()
@takes_account(CLIENT)
def use_factor(
    account: Account,
    factor: FactorName,
    use: Annotated[
        FactorUse,
        typer.Option("--as", help="preferred: asked for first. enabled: as another choice."),
    ] = FactorUse.PREFERRED,
    as_json: JsonOption = False,
) -> None:
    """Choose how a second factor is used, or turn it off."""
    from oncegate_cli import _changes as changes

    raise typer.Exit(changes.use_factor(account, factor, use, as_json=as_json))


@account_app.command()
@takes_account((*CLIENT, "reads_pool"))
def change_password(
    account: Account,
    password_stdin: Annotated[
        bool,
        typer.Option(
            "--password-stdin",
            help="Read the current password, and on the next line the new one, from standard input.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Change the password. Prompts for the current one and the new one, and shows neither."""
    from oncegate_cli import _changes as changes

    if password_stdin and sys.stdin.isatty():
        raise typer.BadParameter(
            "--password-stdin: standard input is a terminal; leave the option out to be prompted"
        )
    raise typer.Exit(
        changes.change_password(account, reads_passwords=password_stdin, as_json=as_json)
    )


@account_app.command()
@takes_account(CLIENT)
def passkeys(account: Account, as_json: JsonOption = False) -> None:
    """List the passkeys. To add one needs a browser."""
    from oncegate_cli import _changes as changes

    raise typer.Exit(changes.passkeys(account, as_json=as_json))


@account_app.command()
@takes_account(CLIENT)
def remove_passkey(
    account: Account,
    key: Annotated[str, typer.Argument(help="Key that `oncegate account passkeys` shows.")],
    as_json: JsonOption = False,
) -> None:
    """Remove a passkey."""
    from oncegate_cli import _changes as changes

    raise typer.Exit(changes.remove_passkey(account, key, as_json=as_json))


@account_app.command("devices")
@takes_account(CLIENT)
def account_devices(account: Account, as_json: JsonOption = False) -> None:
    """List the devices on which no second factor is asked for."""
    from oncegate_cli import _changes as changes

    raise typer.Exit(changes.devices(account, as_json=as_json))


@account_app.command()
@takes_account(CLIENT)
def forget_device(
    account: Account,
    key: Annotated[str, typer.Argument(help="Key that `oncegate account devices` shows.")],
    as_json: JsonOption = False,
) -> None:
    """Forget a device: the second factor is asked for there again."""
    from oncegate_cli import _changes as changes

    raise typer.Exit(changes.forget_device(account, key, as_json=as_json))


@account_app.command()
@takes_account(CLIENT)
def sign_out_everywhere(account: Account, as_json: JsonOption = False) -> None:
    """End all sessions of the user, this one as well."""
    from oncegate_cli import _changes as changes

    raise typer.Exit(changes.sign_out_everywhere(account, as_json=as_json))


@account_app.command("delete")
@takes_account(CLIENT)
def account_delete(
    account: Account,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete the account for good."""
    from oncegate_cli import _changes as changes

    raise typer.Exit(changes.delete(account, is_sure=yes, as_json=as_json))


@app.command()
@takes_account(CHECK, needs_client=False)
def check(
    account: Account,
    store: Annotated[
        str | None,
        typer.Option(
            envvar="ONCEGATE_STORE", help="URL of the store, such as redis://localhost:6379/0."
        ),
    ] = None,
    redirect_uri: Annotated[
        str,
        typer.Option(
            envvar="ONCEGATE_REDIRECT_URI",
            help="Callback URL of the application, to check managed login, such as "
            "https://app.example.com/auth/callback.",
        ),
    ] = "",
    application: Annotated[
        str | None,
        typer.Option(
            "--app",
            metavar="MODULE:NAME",
            help="WebSignIn of an application, such as shop.auth:web. It is checked alone, with its "
            "own settings.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a store, a user pool and an app client, or an application. Sends no code.

    It needs no AWS credentials, except for --read-pool. A store in ONCEGATE_STORE does not show its
    password in the process list. The client secret is read from ONCEGATE_CLIENT_SECRET. Exit codes: 0 no
    check failed, 1 a check failed, 2 usage.
    """
    if not (store or account.pool_id or application):
        raise typer.BadParameter("pass --app, --store or --pool-id")
    if account.client_id and not account.pool_id:
        raise typer.BadParameter("--client-id needs --pool-id")
    if redirect_uri and not application:
        if not account.client_id:
            raise typer.BadParameter("--redirect-uri needs --client-id")
        account = account._replace(domain=account.domain or account.endpoint_url)
        if not account.domain:
            raise typer.BadParameter("--redirect-uri needs --domain")
    from oncegate_cli import _commands as commands

    raise typer.Exit(
        commands.check(store, account, app=application, redirect_uri=redirect_uri, as_json=as_json)
    )


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
    machine: Annotated[Machine, typer.Argument(help="Whose machine to print.")] = Machine.SIGN_IN,
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.MERMAID,
    write: Annotated[
        Path | None, typer.Option(help="Folder to write all diagrams to, in every format.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the machine of the sign-in, or of the account, drawn from its class."""
    from oncegate_cli import _commands as commands

    commands.diagram(machine, form, write=write, as_json=as_json)


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
        if sys.stdout is None:
            raise OSError("standard output is closed")
        app(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except OSError as error:
        if error.filename is not None:
            raise  # not that of standard output
        return _not_written(error)
    except Exception as error:  # noqa: BLE001 - a bug is raised again
        return _code_of(error)
    if code == Exit.INTERRUPTED:
        _print_error("interrupted")
    try:
        sys.stdout.flush()
    except OSError as error:
        return _not_written(error)
    return code


def _not_written(error: OSError) -> Exit:
    """Report that the result was not written: the reader closed the pipe, or a disk is full."""
    if sys.stdout is not None:
        # Python would report it once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        _print_error(f"standard output: {error.strerror or error}")
    return Exit.REFUSED


def _code_of(error: Exception) -> Exit:
    # Imported here, because ``oncegate --help`` does not need the engine.
    from oncegate import MissingExtra, OncegateError, SignedOut, Unreachable

    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("oncegate"):
        error = MissingExtra("cli")
    if not isinstance(error, OncegateError):
        raise error
    _print_error(str(error))
    return {Unreachable: Exit.UNREACHABLE, SignedOut: Exit.SIGN_IN_FIRST}.get(
        type(error), Exit.USAGE
    )


def _print_error(text: str) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text(f"oncegate: {printable(text)}", style="red"))
