"""``oncegate account …``: what the user changes, with the session of ``oncegate login``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from oncegate import Factor, FlowState, InvalidInput, InvalidToken, SignedOut, Step
from oncegate.account import (
    AccountEvent,
    AccountOverview,
    AccountState,
    AddAuthenticator,
    ChangePassword,
    DeleteAccount,
    ForgetDevice,
    RemovePasskey,
    SignOutEverywhere,
    SubmitAddress,
    UseFactor,
)
from oncegate.adapters import TEXTS, parse_account_event
from oncegate_cli import _adapters as adapters
from oncegate_cli import _sessions as sessions
from oncegate_cli._commands import login_of, say, show_devices, sign_in_first
from oncegate_cli._options import Account, Exit, FactorName, FactorUse, printable
from oncegate_cli._signin import context_of, is_outage
from oncegate_cli._terminal import NoMoreInput, Terminal

_FACTORS: Final = {
    FactorName.TOTP: Factor.TOTP,
    FactorName.SMS: Factor.SMS,
    FactorName.EMAIL: Factor.EMAIL,
}
_NAMES: Final = {factor: name for name, factor in _FACTORS.items()}

_PATIENCE: Final = 10.0
"""Seconds that a command waits for the one beside it, before it looks again."""

_CHANGED_NOTHING: Final = frozenset({"stale", "in_flight"})
"""Reasons of an event that another command had sent before: the step has the outcome."""

_Result = TypeVar("_Result")


class _Changes:
    """The account of the user who is signed in, for one command.

    Args:
        account: the app client, and the user if the session has to be of a certain one.

    Raises:
        SignedOut: there is no session, it has ended, or it is of another user.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.file = sessions.SessionFile(account)
        self.username = self._current().username
        self.driver = adapters.account_driver(account, self.file.path.with_suffix(".sqlite"))
        self.terminal = Terminal(parse=parse_account_event)

    def _current(self) -> sessions.KeptSession:
        kept = sessions.current(self.file, self.account)
        if not kept.is_of(self.account.username):
            say(f"The session is of {kept.username}, not of {self.account.username}.")
            raise SignedOut
        return kept

    def overview(self) -> AccountOverview:
        """Return what the account has."""
        return self._with_session(lambda token: self.driver.overview(token))

    def send(self, step: Step, event: AccountEvent) -> Step:
        """Send an event with an access token that is valid now."""
        context = context_of(self.account.client_metadata)
        return self._with_session(
            lambda token: self.driver.send(step, event, token, context=context)
        )

    def _with_session(self, call: Callable[[str], _Result]) -> _Result:
        """Call with the access token. A session that has ended is forgotten."""
        kept = self._current()
        try:
            return call(kept.tokens.access_token)
        except InvalidToken:
            raise SignedOut from None  # such as with a clock that is wrong: it may be valid later
        except SignedOut:
            sessions.forget(self.file, kept)
            raise

    def begun(self, change: str, wish: str) -> Step:
        """Return the step of a wish: where an earlier command left it, or the first one.

        Args:
            change: what is changed.
            wish: what is wanted.
        """
        while True:
            flow_id = sessions.flow_of(self.file, change, wish, lambda: self.driver.start().flow_id)
            step = self._at_rest(self.driver.get(flow_id, patience=_PATIENCE))
            if not _has_ended(step):
                return step
            sessions.drop_flow(self.file, flow_id)

    def _at_rest(self, step: Step) -> Step:
        """Wait for a call that another command makes; a call of one that was killed ends in time."""
        while not step.actions and not _has_ended(step):
            step = self.driver.get(step.flow_id, patience=_PATIENCE)
        return step

    def confirm(self, step: Step, first: AccountEvent) -> tuple[Exit, Step]:
        """Begin a change that has to be confirmed, or go on with it, until it is made or given up.

        Args:
            step: the step of the wish.
            first: the event that begins it. It is not sent if that was done before.
        """
        if step.state is AccountState.MANAGING:
            step = self._at_rest(self.send(step, first))
            if self._is_outage(step):
                return Exit.UNREACHABLE, step
        while step.state not in {AccountState.MANAGING, AccountState.CLOSED}:
            if _has_ended(step):
                return Exit.REFUSED, step
            self.terminal.show(step)
            try:
                event = self.terminal.ask(step)
            except NoMoreInput:
                return Exit.REFUSED, step
            step = self._at_rest(self.send(step, event))
            if self._is_outage(step):
                return Exit.UNREACHABLE, step
        return self.code_of(step), step

    def change(self, event: AccountEvent) -> tuple[Exit, Step]:
        """Make a change that takes one call."""
        step = self._at_rest(self.send(self.driver.start(), event))
        return (Exit.UNREACHABLE if self._is_outage(step) else self.code_of(step)), step

    def _is_outage(self, step: Step) -> bool:
        return is_outage(step, self.terminal) or (
            step.message is not None and step.message.code == "change_outcome_unknown"
        )

    def code_of(self, step: Step) -> Exit:
        """Return the exit code of a change's last step."""
        told = _told(step)
        if told is None:
            return Exit.REFUSED  # given up
        if told.code in {"sign_in_again", "signed_out_elsewhere"}:
            return Exit.SIGN_IN_FIRST
        return Exit.SIGNED_IN if told.kind == "good" else Exit.REFUSED

    def report(self, result: tuple[Exit, Step], *, as_json: bool) -> Exit:
        """Print the last step, and return the exit code. A session that has ended is forgotten."""
        code, step = result
        told = _told(step)
        if step.state is AccountState.CLOSED:
            with self.file.locked():
                self.file.remove()
        if as_json:
            message = (
                told.model_dump(mode="json", include={"code", "text", "detail"}) if told else None
            )
            print(json.dumps({"state": step.state, "message": message}), flush=True)
        if told:
            say(told.text)
            if told.detail:
                say(told.detail)
        elif step.state is AccountState.MANAGING:
            say("Cancelled.")
        if code is Exit.SIGN_IN_FIRST:
            again = " --again" if told and told.code == "sign_in_again" else ""
            say(f"sign in again: {login_of(self.account)}{again}")
        return code


def _told(step: Step) -> Any:
    """What the user is told at the end: why nothing changed, or what did."""
    reason = step.reason
    if reason and not (reason.code in _CHANGED_NOTHING and step.message):
        return reason
    return step.message


def _has_ended(step: Step) -> bool:
    return step.state in {FlowState.FAILED, AccountState.CLOSED}


def _run(account: Account, make: Callable[[_Changes], Exit]) -> Exit:
    """Run a command that needs the session."""
    try:
        return make(_Changes(account))
    except SignedOut:
        return sign_in_first(account)


def show(account: Account, *, as_json: bool) -> Exit:
    """Run ``oncegate account``."""

    def run(changes: _Changes) -> Exit:
        found = changes.overview()
        if as_json:
            print(json.dumps(_as_json(found)))
            return Exit.SIGNED_IN
        lines = [("username", found.username)]
        for name, value in found.addresses.items():
            state = "" if name in found.verified else " (not verified)"
            lines.append((name.replace("_", " "), f"{value}{state}"))
        factors = [_name_of(one) for one in found.second_factors]
        lines.append(("second factors", ", ".join(factors) or "none"))
        if found.preferred:
            lines.append(("asked for first", _name_of(found.preferred)))
        if found.has_password is not None:
            lines.append(("password", "yes" if found.has_password else "no"))
        lines.append(("passkeys", str(len(found.passkeys))))
        lines.append(("devices", str(len(found.devices))))
        for name, value in lines:
            print(printable(f"{name:<24}{value}"))
        return Exit.SIGNED_IN

    return _run(account, run)


def add_authenticator(account: Account, *, name: str, as_json: bool) -> Exit:
    """Run ``oncegate account add-authenticator``."""
    event = _checked("--name", lambda: AddAuthenticator(name=name))

    def run(changes: _Changes) -> Exit:
        step = changes.begun("authenticator", name)
        return changes.report(changes.confirm(step, event), as_json=as_json)

    return _run(account, run)


def set_address(account: Account, event: Callable[[], SubmitAddress], *, as_json: bool) -> Exit:
    """Run ``oncegate account set-phone`` and ``set-email``.

    Args:
        account: the app client.
        event: makes the event.
        as_json: whether to print JSON.
    """
    wish = _checked("ADDRESS", event)

    def run(changes: _Changes) -> Exit:
        step = changes.begun(wish.attribute, wish.address)
        if step.state is AccountState.MANAGING:
            found = changes.overview()
            if (
                found.addresses.get(wish.attribute) == wish.address
                and wish.attribute in found.verified
            ):
                if as_json:
                    print(json.dumps({"state": step.state, "message": None}))
                say(f"{wish.address} is confirmed. No code was sent.")
                return Exit.SIGNED_IN
        return changes.report(changes.confirm(step, wish), as_json=as_json)

    return _run(account, run)


def use_factor(account: Account, factor: FactorName, use: FactorUse, *, as_json: bool) -> Exit:
    """Run ``oncegate account use-factor``."""
    event = UseFactor(factor=_FACTORS[factor], use=use.value)
    return _change(account, event, as_json=as_json)


def change_password(account: Account, *, reads_passwords: bool, as_json: bool) -> Exit:
    """Run ``oncegate account change-password``."""

    def run(changes: _Changes) -> Exit:
        has_password = changes.overview().has_password is not False
        if reads_passwords:
            lines = [sys.stdin.readline().rstrip("\r\n") for _ in range(1 + has_password)]
            event = _checked(
                "--password-stdin",
                lambda: ChangePassword(
                    password=lines[0] if has_password else None, new_password=lines[-1]
                ),
            )
        else:
            step = changes.driver.start()
            action = next(one for one in step.actions if one.event == "change_password")
            if not has_password:
                fields = tuple(one for one in action.fields if one.name == "new_password")
                action = action.model_copy(update={"fields": fields})
            try:
                event = changes.terminal.ask(step.model_copy(update={"actions": (action,)}))
            except NoMoreInput:
                return Exit.REFUSED
        return changes.report(changes.change(event), as_json=as_json)

    return _run(account, run)


def passkeys(account: Account, *, as_json: bool) -> Exit:
    """Run ``oncegate account passkeys``."""

    def run(changes: _Changes) -> Exit:
        found = changes.overview()
        if as_json:
            print(json.dumps(_as_json(found)["passkeys"]))
        else:
            table = Table("key", "name", "created")
            for one in found.passkeys:
                table.add_row(printable(one.key), printable(one.name), f"{one.created_at or ''}")
            Console().print(table)
        return Exit.SIGNED_IN

    return _run(account, run)


def remove_passkey(account: Account, key: str, *, as_json: bool) -> Exit:
    """Run ``oncegate account remove-passkey``."""
    event = _checked("KEY", lambda: RemovePasskey(key=key))

    def run(changes: _Changes) -> Exit:
        is_listed = any(one.key == key for one in changes.overview().passkeys)
        result = changes.change(event)
        if not is_listed and result[0] is not Exit.SIGN_IN_FIRST:
            return _no_key("passkey", "passkeys", as_json=as_json)
        return changes.report(result, as_json=as_json)

    return _run(account, run)


def devices(account: Account, *, as_json: bool) -> Exit:
    """Run ``oncegate account devices``."""

    def run(changes: _Changes) -> Exit:
        found = changes.overview()
        if as_json:
            print(json.dumps(_as_json(found)["devices"]))
        else:
            show_devices(found.devices)
        return Exit.SIGNED_IN

    return _run(account, run)


def forget_device(account: Account, key: str, *, as_json: bool) -> Exit:
    """Run ``oncegate account forget-device``."""
    event = _checked("KEY", lambda: ForgetDevice(key=key))

    def run(changes: _Changes) -> Exit:
        is_listed = any(one.key == key for one in changes.overview().devices)
        result = changes.change(event)
        if not is_listed and result[0] is not Exit.SIGN_IN_FIRST:
            return _no_key("device", "devices", as_json=as_json)
        code = changes.report(result, as_json=as_json)
        if code is Exit.SIGNED_IN:
            adapters.forget_device(account, changes.username, key)
        return code

    return _run(account, run)


def sign_out_everywhere(account: Account, *, as_json: bool) -> Exit:
    """Run ``oncegate account sign-out-everywhere``."""
    return _change(account, SignOutEverywhere(), as_json=as_json)


def delete(account: Account, *, is_sure: bool, as_json: bool) -> Exit:
    """Run ``oncegate account delete``."""

    def run(changes: _Changes) -> Exit:
        if not is_sure:
            if not changes.terminal.is_interactive:
                raise typer.BadParameter("pass --yes: standard input is no terminal")
            question = f"Delete the account of {printable(changes.username)} for good?"
            if not typer.confirm(question, err=True):
                return Exit.REFUSED
        return changes.report(changes.change(DeleteAccount()), as_json=as_json)

    return _run(account, run)


def _no_key(kind: str, command: str, *, as_json: bool) -> Exit:
    """Say that a key is unknown: for a mistyped one, "removed" would be treated as success."""
    if as_json:
        print(json.dumps({"state": AccountState.MANAGING, "message": None}), flush=True)
    say(f"There is no {kind} with this key. List the keys: oncegate account {command}")
    return Exit.REFUSED


def _change(account: Account, event: AccountEvent, *, as_json: bool) -> Exit:
    return _run(account, lambda changes: changes.report(changes.change(event), as_json=as_json))


def _checked(option: str, make: Callable[[], Any]) -> Any:
    """Return an event.

    Raises:
        typer.BadParameter: a value is invalid.
    """
    try:
        return make()
    except InvalidInput:
        raise typer.BadParameter(f"{option}: {TEXTS['notice.invalid_input']}") from None


def _as_json(found: AccountOverview) -> dict[str, Any]:
    return {
        "username": found.username,
        "addresses": {
            name: {"value": value, "verified": name in found.verified}
            for name, value in found.addresses.items()
        },
        "second_factors": [_name_of(one) for one in found.second_factors],
        "preferred": _name_of(found.preferred) if found.preferred else None,
        "passkeys": [
            {"key": one.key, "name": one.name, "created_at": _time(one.created_at)}
            for one in found.passkeys
        ],
        "devices": [
            {"key": one.key, "name": one.name, "last_signed_in_at": _time(one.last_signed_in_at)}
            for one in found.devices
        ],
        "has_password": found.has_password,
    }


def _name_of(factor: Factor) -> str:
    return _NAMES[factor].value if factor in _NAMES else str(factor)


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
