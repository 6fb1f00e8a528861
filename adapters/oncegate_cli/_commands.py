"""The commands themselves. Imported when one is called, so that help and prompts appear at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from oncegate import Misconfigured, PasswordPolicy, SignIn, Step, WaysIn
from oncegate.adapters import check_store
from oncegate_cli import _adapters as adapters
from oncegate_cli import _check as checks
from oncegate_cli import _demo as scenes
from oncegate_cli._browser import Browser, browser_at
from oncegate_cli._diagram import draw, write_all
from oncegate_cli._options import Account, AtProvider, DeviceAction, Exit, Format
from oncegate_cli._signin import report, sign_in_at
from oncegate_cli._terminal import Terminal


class _Session:
    """One user at one terminal, about to sign in to one app client.

    Args:
        account: the app client, and the user.
        ways_in: what the first step offers beside the sign-in. Default: a reset of the password.
        password_policy: the rules to show for new passwords. Default: none.
        remember_device: whether the device is to be remembered without asking.
        provider: the identity provider to sign in with.
        browser: goes to the provider.
    """

    def __init__(
        self,
        account: Account,
        *,
        ways_in: WaysIn | None = None,
        password_policy: PasswordPolicy | None = None,
        remember_device: bool = False,
        provider: AtProvider | None = None,
        browser: Browser | None = None,
    ) -> None:
        self.transport = adapters.cognito_transport(
            account,
            ways_in=ways_in,
            domain=provider.domain if provider else None,
            redirect_uri=browser.redirect_uri if browser else "",
        )
        self.password_policy = password_policy
        self.client_metadata = account.client_metadata
        self.vault = adapters.device_vault(account)
        self.browser = browser
        answers = {"username": account.username} if account.username else {}
        if provider:
            answers["provider"] = provider.name
        # A script is not asked about its device.
        if remember_device or not sys.stdin.isatty():
            answers["remember"] = str(remember_device).lower()
        self.terminal = Terminal(answers)

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


def sign_in(
    account: Account, *, provider: AtProvider | None, remember_device: bool, as_json: bool
) -> Exit:
    """Run ``oncegate signin``."""
    ways_in, policy = _settings_of(account)
    if provider is None:
        session = _Session(
            account, ways_in=ways_in, password_policy=policy, remember_device=remember_device
        )
        return session.run(as_json=as_json)
    ways_in = _changed(ways_in, "--with", {"providers": [{"name": provider.name}]})
    with browser_at(provider.callback_port, opens=provider.opens_browser) as browser:
        session = _Session(
            account,
            ways_in=ways_in,
            password_policy=policy,
            remember_device=remember_device,
            provider=provider,
            browser=browser,
        )
        return session.run("sign_in_with", as_json=as_json)


def sign_up(
    account: Account,
    *,
    attributes: list[str],
    passwordless: bool,
    remember_device: bool,
    as_json: bool,
) -> Exit:
    """Run ``oncegate signup``."""
    ways_in, policy = _settings_of(account)
    if account.reads_pool and ways_in.sign_up is None:
        raise Misconfigured("users of this pool cannot sign up: administrators create accounts")
    required = ways_in.sign_up.attributes if ways_in.sign_up else ()
    form = {
        "attributes": tuple(dict.fromkeys((*required, *attributes))),
        "password": "none" if passwordless else "required",
    }
    session = _Session(
        account,
        ways_in=_changed(ways_in, "--attribute", {"sign_up": form}),
        password_policy=policy,
        remember_device=remember_device,
    )
    return session.run("sign_up", as_json=as_json)


def forgot_password(account: Account, *, remember_device: bool, as_json: bool) -> Exit:
    """Run ``oncegate forgot-password``."""
    ways_in, policy = _settings_of(account)
    if not ways_in.password_reset:
        raise Misconfigured("users of this pool cannot reset passwords: administrators do")
    session = _Session(
        account, ways_in=ways_in, password_policy=policy, remember_device=remember_device
    )
    return session.run("forgot_password", as_json=as_json)


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


def devices(action: DeviceAction, account: Account, *, key: str | None, as_json: bool) -> Exit:
    """Run ``oncegate devices``."""
    session = _Session(account)
    service = adapters.token_service(session.transport)
    code, step = session.sign_in()
    if step.tokens is None:
        report(session.terminal, step, as_json=as_json)
        return code
    if action is DeviceAction.FORGET and key:
        service.forget_device(step.tokens, key)
        own = session.vault.find(account.username or "")
        if own and own.key == key:
            session.vault.remove(own)
    listed = service.devices(step.tokens)
    if as_json:
        print(json.dumps([{"key": device.key, "name": device.name} for device in listed]))
        return code
    table = Table("key", "name", "last signed in")
    for device in listed:
        table.add_row(device.key, device.name, f"{device.last_signed_in_at or ''}")
    Console().print(table)
    return code


def run_sandbox(*, seed: Path | None, as_json: bool, **options: Any) -> None:
    """Run ``oncegate sandbox``; ``options`` are arguments of `oncegate_sandbox.Sandbox`."""
    cognito = adapters.sandbox(seed=seed, **options)
    cognito.listen()
    description = cognito.description()
    line = "  ".join(f"{name} {value}" for name, value in description.items())
    print(json.dumps(description) if as_json else line, flush=True)
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


def diagram(form: Format, *, write: Path | None, as_json: bool) -> None:
    """Run ``oncegate diagram``."""
    if write:
        files = [str(path) for path in write_all(write)]
        print(json.dumps(files) if as_json else "\n".join(files))
        return
    drawn = draw(form)
    print(json.dumps({"format": form, "diagram": drawn}) if as_json else drawn)


def check(store: str | None, account: Account, *, as_json: bool) -> Exit:
    """Run ``oncegate check``; empty IDs are not checked."""
    findings = check_store(adapters.store_from_url(store)) if store else []
    if account.pool_id:
        transport = adapters.cognito_transport(account) if account.client_id else None
        pool = checks.check_pool(adapters.issuer(account.pool_id, account.endpoint_url))
        findings += pool
        if transport and all(finding.status != "failed" for finding in pool):
            findings += checks.check_client(transport, account.auth_flow)
    return Exit.SIGNED_IN if checks.report(findings, as_json=as_json) else Exit.REFUSED


def web_client(folder: Path, *, as_json: bool) -> None:
    """Run ``oncegate web-client``."""
    files = [str(path) for path in adapters.web_client(folder)]
    print(json.dumps(files) if as_json else "\n".join(files))
