"""What the commands do. Imported when one is called, so that help and prompts are there at once."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from oncegate import SignIn, Step
from oncegate_cli import demo as scenes
from oncegate_cli.diagram import draw, write_all
from oncegate_cli.options import Account, DeviceAction, Exit, Format
from oncegate_cli.parts import cognito_transport, device_vault, memory_store, sandbox, web_demo
from oncegate_cli.parts import session as open_session
from oncegate_cli.signin import report, sign_in_at
from oncegate_cli.terminal import Terminal


class _Person:
    """One person at one terminal, about to sign in to one pool."""

    def __init__(self, account: Account) -> None:
        self.transport = cognito_transport(
            pool_id=account.pool_id,
            client_id=account.client_id,
            client_secret=os.environ.get("ONCEGATE_CLIENT_SECRET") or None,
            endpoint_url=account.endpoint_url,
            auth_flow=account.auth_flow,
        )
        self.vault = device_vault(account.pool_id, account.client_id)
        self.terminal = Terminal({"username": account.username} if account.username else None)

    def signs_in(self, *, remember_device: bool) -> tuple[Exit, Step]:
        sign_in = SignIn(
            transport=self.transport, store=memory_store(), vault=self.vault, retain_password=True
        )
        # A script is not asked.
        unasked = None if self.terminal.is_interactive else False
        return sign_in_at(self.terminal, sign_in, remember_device=remember_device or unasked)


def sign_in(account: Account, *, remember_device: bool, as_json: bool) -> Exit:
    """``oncegate signin``."""
    person = _Person(account)
    code, step = person.signs_in(remember_device=remember_device)
    report(person.terminal, step, as_program=as_json)
    return code


def devices(action: DeviceAction, account: Account, *, key: str | None, as_json: bool) -> Exit:
    """``oncegate devices``."""
    person = _Person(account)
    code, step = person.signs_in(remember_device=False)
    if step.tokens is None:
        report(person.terminal, step, as_program=as_json)
        return code
    session = open_session(step.tokens, person.transport)
    if action is DeviceAction.FORGET and key:
        session.forget_device(key)
        own = person.vault.find(account.username or "")
        if own and own.key == key:
            person.vault.drop(own)
    listed = session.devices()
    if as_json:
        print(json.dumps([{"key": device.key, "name": device.name} for device in listed]))
        return code
    table = Table("key", "name", "last signed in")
    for device in listed:
        table.add_row(device.key, device.name, f"{device.last_signed_in_at or ''}")
    Console().print(table)
    return code


def run_sandbox(*, port: int, seed: Path | None, as_json: bool) -> None:
    """``oncegate sandbox``."""
    cognito = sandbox(port=port, seed=seed)
    cognito.listen()
    about = cognito.description()
    words = "  ".join(f"{name} {value}" for name, value in about.items())
    print(json.dumps(about) if as_json else words, flush=True)
    cognito.serve_forever()


def demo(*, auto: bool, as_json: bool) -> Exit:
    """``oncegate demo``, in the terminal."""
    with sandbox() as cognito:
        if auto or not sys.stdin.isatty():
            played = scenes.play(cognito)
            if as_json:
                print(json.dumps([scene._asdict() for scene in played]))
            else:
                Console().print(scenes.table(played))
            kept = all(scene.texts <= 1 for scene in played)
            return Exit.SIGNED_IN if kept else Exit.REFUSED
        Console(stderr=True, highlight=False).print(f"A local Cognito is running. {scenes.HINT}\n")
        terminal = Terminal(aside=lambda: scenes.phone(cognito))
        code, step = sign_in_at(terminal, scenes.sign_in_to(cognito))
        report(terminal, step, as_program=as_json)
    return code


def web_demo_at(port: int, *, as_json: bool) -> None:
    """``oncegate demo --web``."""
    with sandbox() as cognito:
        page = web_demo(cognito, scenes.transport_to(cognito), hint=scenes.HINT, port=port)
        print(json.dumps({"url": page.url}) if as_json else f"Open {page.url}", flush=True)
        page.serve_forever()


def diagram(form: Format, *, write: Path | None, as_json: bool) -> None:
    """``oncegate diagram``."""
    if write:
        files = [str(path) for path in write_all(write)]
        print(json.dumps(files) if as_json else "\n".join(files))
        return
    drawn = draw(form)
    print(json.dumps({"format": form, "diagram": drawn}) if as_json else drawn)
