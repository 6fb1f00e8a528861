"""The commands themselves. Imported when one is called, so that help and prompts appear at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from oncegate import (
    Misconfigured,
    OncegateError,
    PasswordPolicy,
    SignedOut,
    SignIn,
    Step,
    WaysIn,
)
from oncegate.account import ListedDevice
from oncegate.adapters import check_store, signed_in_step
from oncegate_cli import _adapters as adapters
from oncegate_cli import _check as checks
from oncegate_cli import _demo as scenes
from oncegate_cli import _sessions as sessions
from oncegate_cli._browser import Browser, browser_at
from oncegate_cli._diagram import draw, draw_account, write_all
from oncegate_cli._options import (
    DEFAULT_PROFILE,
    Account,
    DeviceAction,
    Exit,
    Format,
    Machine,
    printable,
)
from oncegate_cli._signin import as_json_text, report, sign_in_at
from oncegate_cli._terminal import Terminal


class _Attempt:
    """One user at one terminal, about to sign in to one app client.

    Args:
        account: the app client, the user, and how to sign in.
        ways_in: what the first step offers beside the sign-in. Default: a reset of the password.
        password_policy: the rules to show for new passwords. Default: none.
        reads_password: whether the first line of standard input is the password.
        browser: goes to the identity provider.
    """

    def __init__(
        self,
        account: Account,
        *,
        ways_in: WaysIn | None = None,
        password_policy: PasswordPolicy | None = None,
        reads_password: bool = False,
        browser: Browser | None = None,
    ) -> None:
        self.transport = adapters.cognito_transport(
            account,
            ways_in=ways_in,
            domain=account.domain if browser else None,
            redirect_uri=browser.redirect_uri if browser else "",
        )
        self.password_policy = password_policy
        self.client_metadata = account.client_metadata
        self.vault = adapters.device_vault(account)
        self.browser = browser
        answers = {"username": account.username} if account.username else {}
        if browser and account.provider:
            answers["provider"] = account.provider
        # A script is not asked about its device.
        if account.remember_device is not None or not sys.stdin.isatty():
            answers["remember"] = str(bool(account.remember_device)).lower()
        self.terminal = Terminal(answers)
        if reads_password:
            self.terminal.read_answer("password")

    def sign_in(self, first: str = "") -> tuple[Exit, Step]:
        """Sign the user in.

        Args:
            first: event of the action to begin with. Default: the first step's main one.
        """
        sign_in = SignIn(
            transport=self.transport,
            store=adapters.memory_store(),
            vault=self.vault,
            retain_password=True,
            password_policy=self.password_policy,
        )
        return sign_in_at(
            self.terminal, sign_in, self.client_metadata, first=first, browser=self.browser
        )

    def run(self, first: str = "", *, as_json: bool) -> Exit:
        """Sign the user in, and report the last step."""
        code, step = self.sign_in(first)
        report(self.terminal, step, as_json=as_json)
        return code


class _Result(NamedTuple):
    """The result of a sign-in.

    Attributes:
        code: exit code.
        step: the last step.
        terminal: the terminal.
        redirect_uri: where the browser came back to; empty if there was none.
    """

    code: Exit
    step: Step
    terminal: Terminal
    redirect_uri: str = ""


def _result_of(account: Account, *, reads_password: bool = False, opens_browser: bool) -> _Result:
    """Sign a user in, with the identity provider if the account names one."""
    ways_in, policy = _settings_of(account)
    if account.provider is None:
        attempt = _Attempt(
            account, ways_in=ways_in, password_policy=policy, reads_password=reads_password
        )
        return _Result(*attempt.sign_in(), attempt.terminal)
    ways_in = _changed(ways_in, "--with", {"providers": [{"name": account.provider}]})
    with browser_at(account.callback_port, opens=opens_browser) as browser:
        attempt = _Attempt(account, ways_in=ways_in, password_policy=policy, browser=browser)
        return _Result(*attempt.sign_in("sign_in_with"), attempt.terminal, browser.redirect_uri)


def sign_in(account: Account, *, reads_password: bool, opens_browser: bool, as_json: bool) -> Exit:
    """Run ``oncegate signin``."""
    result = _result_of(account, reads_password=reads_password, opens_browser=opens_browser)
    report(result.terminal, result.step, as_json=as_json)
    return result.code


def login(
    account: Account,
    *,
    reads_password: bool,
    opens_browser: bool,
    insecure: bool,
    again: bool,
    as_json: bool,
) -> Exit:
    """Run ``oncegate login``."""
    file = sessions.SessionFile(account)
    try:
        kept = sessions.checked(file, account)
    except Misconfigured:
        if not insecure:
            raise
        kept = None  # one that cannot be read, such as with a locked keyring, is replaced
    if kept and kept.is_of(account.username) and not again:
        if as_json:
            print(as_json_text(signed_in_step().model_copy(update={"tokens": kept.tokens})))
        say(f"You are signed in as {kept.username}. No code was sent.")
        return Exit.SIGNED_IN
    file.prepare(insecure=insecure)
    if again and kept and not account.username:
        account = account._replace(username=kept.username)
    result = _result_of(account, reads_password=reads_password, opens_browser=opens_browser)
    if result.step.tokens is None:
        report(result.terminal, result.step, as_json=as_json)
        return result.code
    session = sessions.KeptSession.of(
        result.step.tokens,
        account,
        typed=result.step.username,
        redirect_uri=result.redirect_uri,
    )
    try:
        replaced = sessions.keep(file, account, session)
    except OncegateError:
        _revocation_failure(session, account)  # tokens that are not kept serve only a thief
        raise
    report(result.terminal, result.step, as_json=as_json)
    say(f"Signed in as {session.username}. The session is in {file.place}.")
    if replaced:
        failure = _revocation_failure(replaced, account)
        was = (
            "" if replaced.username == session.username else f"{replaced.username} was signed out."
        )
        if was or failure:
            say(f"{was} {failure}".strip())
    return result.code


def status(account: Account, *, as_json: bool) -> Exit:
    """Run ``oncegate status``."""
    file = sessions.SessionFile(account)
    kept = sessions.checked(file, account)
    facts: dict[str, Any] = {
        "signed_in": kept is not None,
        "profile": account.profile,
        "pool_id": account.pool_id,
        "client_id": account.client_id,
    }
    if kept:
        facts |= {
            "username": kept.username,
            "signed_in_at": _time(kept.signed_in_at),
            "access_token_expires_at": _time(kept.expires_at),
            "can_be_renewed": kept.tokens.refresh_token is not None,
            "stored_in": file.place,
        }
    if as_json:
        print(json.dumps(facts))
    elif kept:
        for name, value in facts.items():
            shown = {True: "yes", False: "no"}.get(value, value) if name != "profile" else value
            print(printable(f"{name.replace('_', ' '):<24}{shown}"))
    return Exit.SIGNED_IN if kept else sign_in_first(account)


def token(account: Account, *, is_id: bool, as_json: bool) -> Exit:
    """Run ``oncegate token``."""
    file = sessions.SessionFile(account)
    try:
        kept = sessions.current(file, account)
    except SignedOut:
        return sign_in_first(account)
    if not kept.is_of(account.username):
        say(f"The session is of {kept.username}, not of {account.username}.")
        return sign_in_first(account)
    found = kept.tokens.id_token if is_id else kept.tokens.access_token
    if found is None:
        raise Misconfigured("Cognito issued no ID token: the sign-in needs the scope openid")
    shown = {
        "token": found,
        "token_type": kept.tokens.token_type,
        "expires_at": _time(kept.expires_at),
    }
    print(json.dumps(shown) if as_json else found)
    return Exit.SIGNED_IN


def logout(account: Account, *, opens_browser: bool, as_json: bool) -> Exit:
    """Run ``oncegate logout``."""
    file = sessions.SessionFile(account)
    kept, failure = None, ""
    with ExitStack() as until_the_end:
        with suppress(OncegateError):  # one that hangs must not keep the user signed in
            # A command that is renewing the tokens would save them again afterwards.
            until_the_end.enter_context(file.locked())
        try:
            kept = file.load(checked=False)
            if kept:
                failure = _revocation_failure(kept, account)
        except Misconfigured as error:
            failure = f"The tokens were not revoked, and are valid until they expire: {error}"
        finally:
            file.remove()  # in any case, also if the user interrupts the call
    url = adapters.logout_url(account, kept) if kept else None
    if as_json:
        facts = {"was_signed_in": kept is not None, "revoked": bool(kept and not failure)}
        print(json.dumps({**facts, "logout_url": url}))
    if kept:
        say(f"{kept.username} is signed out on this computer.")
    elif not failure:
        say("You are not signed in.")
    if failure:
        say(failure)
    if kept and url:
        say("Your browser has a session of its own. This address ends it:")
        say(url)
        if opens_browser:
            try:
                with browser_at(urlsplit(kept.redirect_uri).port or 0, opens=True) as browser:
                    browser.sign_out(url)
            except Misconfigured:  # the port is in use: the browser comes back to no page
                typer.launch(url)
    return Exit.UNREACHABLE if failure else Exit.SIGNED_IN


def _revocation_failure(session: sessions.KeptSession, account: Account) -> str:
    """Revoke the tokens of a session. Returns why they could not be; empty if they were."""
    try:
        adapters.service(account).revoke(session.tokens)
    except SignedOut:
        pass  # it had ended before
    except OncegateError as error:
        return f"The tokens were not revoked, and are valid until they expire: {error}"
    return ""


def sign_in_first(account: Account) -> Exit:
    """Say that there is no session."""
    say(f"sign in first: {login_of(account)}")
    return Exit.SIGN_IN_FIRST


def login_of(account: Account) -> str:
    """Return the command that signs in."""
    named = "" if account.profile == DEFAULT_PROFILE else f" --profile {account.profile}"
    return f"oncegate login{named}"


def say(text: str) -> None:
    """Show a line on standard error, so that standard output has only results."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(printable(text)))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def sign_up(account: Account, *, attributes: list[str], passwordless: bool, as_json: bool) -> Exit:
    """Run ``oncegate signup``."""
    ways_in, policy = _settings_of(account)
    if account.reads_pool and ways_in.sign_up is None:
        raise Misconfigured("users of this pool cannot sign up: administrators create accounts")
    required = ways_in.sign_up.attributes if ways_in.sign_up else ()
    form = {
        "attributes": tuple(dict.fromkeys((*required, *attributes))),
        "password": "none" if passwordless else "required",
    }
    attempt = _Attempt(
        account,
        ways_in=_changed(ways_in, "--attribute", {"sign_up": form}),
        password_policy=policy,
    )
    return attempt.run("sign_up", as_json=as_json)


def forgot_password(account: Account, *, as_json: bool) -> Exit:
    """Run ``oncegate forgot-password``."""
    ways_in, policy = _settings_of(account)
    if not ways_in.password_reset:
        raise Misconfigured("users of this pool cannot reset passwords: administrators do")
    attempt = _Attempt(account, ways_in=ways_in, password_policy=policy)
    return attempt.run("forgot_password", as_json=as_json)


def _settings_of(account: Account) -> tuple[WaysIn, PasswordPolicy | None]:
    """Return what the pool offers, and the rules for its passwords if they are known."""
    return adapters.pool_settings(account) if account.reads_pool else (WaysIn(), None)


def _changed(ways_in: WaysIn, option: str, settings: dict[str, Any]) -> WaysIn:
    """Return the ways in with the settings of an option.

    Raises:
        Misconfigured: Cognito has no such names.
    """
    try:
        return WaysIn.model_validate({**ways_in.model_dump(), **settings})
    except ValidationError:
        raise Misconfigured(f"{option}: not a name that Cognito has") from None


def devices(
    action: DeviceAction, account: Account, *, key: str | None, opens_browser: bool, as_json: bool
) -> Exit:
    """Run ``oncegate devices``: with the session that is kept, or after a sign-in."""
    kept = sessions.checked(sessions.SessionFile(account), account)
    if kept and kept.is_of(account.username):
        tokens, username = kept.tokens, kept.username
    elif account.username or sys.stdin.isatty():
        result = _result_of(account, opens_browser=opens_browser)
        if result.step.tokens is None:
            report(result.terminal, result.step, as_json=as_json)
            return result.code
        tokens, username = result.step.tokens, account.username or ""
    else:
        return sign_in_first(account)
    service = adapters.service(account)
    if action is DeviceAction.FORGET and key:
        service.forget_device(tokens, key)
        adapters.forget_device(account, username, key)
    listed = service.devices(tokens)
    if as_json:
        print(json.dumps([{"key": device.key, "name": device.name} for device in listed]))
    else:
        show_devices(listed)
    return Exit.SIGNED_IN


def show_devices(listed: Iterable[ListedDevice]) -> None:
    """Print devices as a table."""
    table = Table("key", "name", "last signed in")
    for device in listed:
        table.add_row(device.key, device.name, f"{device.last_signed_in_at or ''}")
    Console().print(table)


def run_sandbox(*, seed: Path | None, as_json: bool, **options: Any) -> None:
    """Run ``oncegate sandbox``; ``options`` are arguments of `oncegate_sandbox.Sandbox`."""
    cognito = adapters.sandbox(seed=seed, **options)
    cognito.listen()
    description = cognito.description()
    line = "  ".join(f"{name} {value}" for name, value in description.items())
    print(json.dumps(description) if as_json else line, flush=True)
    if not as_json:
        who = "" if seed else f"Sign in as {scenes.USERNAME} with {scenes.PASSWORD}. "
        # Not on stdout, where scripts read the line.
        print(f"{who}Codes: {cognito.endpoint}/_sandbox/messages", file=sys.stderr, flush=True)
    cognito.serve_forever()


def demo(*, auto: bool, as_json: bool) -> Exit:
    """Run ``oncegate demo`` in the terminal."""
    with adapters.sandbox() as cognito:
        if auto or not sys.stdin.isatty():
            played = scenes.play(cognito)
            if as_json:
                print(json.dumps([scene._asdict() for scene in played]))
            else:
                Console().print(scenes.table(played))
            promise_held = all(scene.texts <= 1 for scene in played)
            return Exit.SIGNED_IN if promise_held else Exit.REFUSED
        Console(stderr=True, highlight=False).print(f"A local Cognito is running. {scenes.HINT}\n")
        terminal = Terminal(aside=lambda: scenes.phone(cognito))
        code, step = sign_in_at(terminal, scenes.sign_in_to(cognito))
        report(terminal, step, as_json=as_json)
    return code


def web_demo_at(port: int, *, as_json: bool) -> None:
    """Run ``oncegate demo --web``."""
    with adapters.sandbox() as cognito:
        page = adapters.web_demo(cognito, hint=scenes.HINT, port=port)
        print(json.dumps({"url": page.url}) if as_json else f"Open {page.url}", flush=True)
        page.serve_forever()


def diagram(machine: Machine, form: Format, *, write: Path | None, as_json: bool) -> None:
    """Run ``oncegate diagram``."""
    if write:
        files = [str(path) for path in write_all(write)]
        print(json.dumps(files) if as_json else "\n".join(files))
        return
    drawn = draw_account(form) if machine is Machine.ACCOUNT else draw(form)
    about = {"machine": machine, "format": form, "diagram": drawn}
    print(json.dumps(about) if as_json else drawn)


def check(
    store: str | None, account: Account, *, app: str | None, redirect_uri: str, as_json: bool
) -> Exit:
    """Run ``oncegate check``; empty IDs are not checked.

    Args:
        store: URL of a store; None for none.
        account: the app client, and its domain if its managed login is to be checked.
        app: ``MODULE:NAME`` of an application's sign-in, which is checked alone.
        redirect_uri: callback URL of managed login.
        as_json: whether to print JSON.
    """
    if app:
        findings = checks.sign_in_of(app).check_set_up()
    else:
        findings = check_store(adapters.store_from_url(store)) if store else []
        findings += adapters.cognito_findings(account, redirect_uri) if account.pool_id else []
    return Exit.SIGNED_IN if checks.report(findings, as_json=as_json) else Exit.REFUSED


def web_client(folder: Path, *, as_json: bool) -> None:
    """Run ``oncegate web-client``."""
    files = [str(path) for path in adapters.web_client(folder)]
    print(json.dumps(files) if as_json else "\n".join(files))
