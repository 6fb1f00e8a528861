"""``oncegate check``: what can be seen of a set-up without signing in."""

from __future__ import annotations

import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from http.client import HTTPException

from rich.console import Console
from rich.text import Text

from oncegate import RequestContext, SubmitPassword
from oncegate.adapters import (
    CLOCK_DIFFERENCE,
    CheckPassword,
    Finding,
    NotSent,
    Outcome,
    Rejected,
    RejectionReason,
    Transport,
)

_TIMEOUT = 10.0
_CLIENT_CURES = {
    "ResourceNotFoundException": "check --client-id, and that the client belongs to this pool",
    "is not enabled": "allow the flow in the app client, or name another one with --auth-flow",
    "not enabled for": "allow the flow in the app client, or name another one with --auth-flow",
    "ecret": "set ONCEGATE_CLIENT_SECRET to the app client's secret",
}
_STYLES = {"ok": "green", "warning": "yellow", "failed": "red"}


def check_pool(issuer: str) -> list[Finding]:
    """Check whether a user pool exists, by its public keys, and compare this machine's clock.

    Args:
        issuer: ``iss`` of the pool's tokens, which is a URL.
    """
    sent_at = time.time()
    try:
        # The scheme was checked: https, or http on this machine.
        with urllib.request.urlopen(f"{issuer}/.well-known/jwks.json", timeout=_TIMEOUT) as answer:  # noqa: S310
            keys = len(json.load(answer)["keys"])
            date = answer.headers.get("Date")
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            return [Finding("Cognito answers", "failed", f"HTTP {error.code}", "try again later")]
        return [
            Finding(
                "user pool",
                "failed",
                f"Cognito has no such pool (HTTP {error.code})",
                "check --pool-id, and its region",
            )
        ]
    except (OSError, HTTPException, ValueError, KeyError) as error:
        reason = getattr(error, "reason", error)
        return [
            Finding(
                "Cognito answers",
                "failed",
                f"no answer ({type(reason).__name__})",
                "allow HTTPS to cognito-idp.REGION.amazonaws.com from this machine: DNS, firewall, "
                "NAT, proxy",
            )
        ]
    seconds = time.time() - sent_at
    found = Finding(
        "user pool", "ok", f"has {keys} public keys; answers in {seconds * 1000:.0f} ms"
    )
    return [found, _clock_finding(date, sent_at)]


def _clock_finding(date: str | None, sent_at: float) -> Finding:
    try:
        told = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return Finding("clock", "warning", "Cognito did not tell the time")
    ahead = (sent_at + time.time()) / 2 - told - 0.5  # the header has whole seconds
    text = f"this machine is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Cognito"
    if abs(ahead) < CLOCK_DIFFERENCE:
        return Finding("clock", "ok", "this machine and Cognito agree")
    return Finding("clock", "warning", text, "synchronise this machine's clock, by NTP")


def check_client(transport: Transport, auth_flow: str) -> list[Finding]:
    """Check an app client, by a sign-in with a name that no user has. No request that can send leaves.

    Args:
        transport: transport to the app client.
        auth_flow: how its sign-ins begin.
    """
    name = f"oncegate-check-{secrets.token_hex(16)}"
    event = SubmitPassword(username=name, password=secrets.token_urlsafe(24))
    assert event.password is not None
    call = CheckPassword(username=name, password=event.password)
    context = RequestContext(user_agent="oncegate check", may_send=lambda *_: False)
    outcome = transport.perform(call, context)
    is_stopped = isinstance(outcome, NotSent) and outcome.cause == "too_many_codes"
    is_rejected = (
        isinstance(outcome, Rejected) and outcome.reason == RejectionReason.WRONG_CREDENTIALS
    )
    if not is_stopped and not is_rejected:
        return [_client_failure(outcome)]
    found = [Finding("app client", "ok", f"takes passwords with {auth_flow}")]
    if getattr(outcome, "detail", "").startswith("UserNotFoundException"):
        found.append(
            Finding(
                "user existence",
                "warning",
                "Cognito tells callers which users exist",
                "set PreventUserExistenceErrors to ENABLED in the app client",
            )
        )
    else:
        found.append(Finding("user existence", "ok", "Cognito does not tell which users exist"))
    return found


def _client_failure(outcome: Outcome) -> Finding:
    detail = str(getattr(outcome, "detail", "")) or outcome.type
    if not isinstance(outcome, Rejected):
        cure = "try again later" if isinstance(outcome, NotSent) else "see the error, and try again"
        return Finding("app client", "failed", f"Cognito gave no answer: {detail}", cure)
    cure = next((cure for part, cure in _CLIENT_CURES.items() if part in detail), "")
    return Finding(
        "app client", "failed", detail, cure or "see the error in Cognito's API reference"
    )


def report(findings: Iterable[Finding], *, as_json: bool) -> bool:
    """Print one line for each finding; return whether no check failed.

    Args:
        findings: the findings.
        as_json: whether to print JSON.
    """
    found = list(findings)
    if as_json:
        print(json.dumps([finding._asdict() for finding in found]))
    else:
        console = Console(soft_wrap=True, highlight=False)
        for finding in found:
            console.print(_line(finding))
    return all(finding.status != "failed" for finding in found)


def _line(finding: Finding) -> Text:
    cure = f" → {finding.cure}" if finding.cure else ""
    return Text.assemble(
        (f"{finding.status:<8}", _STYLES[finding.status]),
        f"{finding.check}: {finding.text}{cure}",
    )
