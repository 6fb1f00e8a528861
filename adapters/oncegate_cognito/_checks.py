"""What can be seen of a user pool and an app client without a user, and without AWS credentials."""

from __future__ import annotations

import json
import secrets
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from email.utils import parsedate_to_datetime
from functools import partial
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from oncegate import RequestContext, SubmitPassword, WaysIn
from oncegate.adapters import (
    CLOCK_DIFFERENCE,
    Call,
    CheckPassword,
    Finding,
    NotSent,
    Outcome,
    Rejected,
    RejectionReason,
)
from oncegate_cognito._app_client import AppClient
from oncegate_cognito._deadlines import limited, run_in_time
from oncegate_cognito._oauth import ManagedLoginClient
from oncegate_cognito.errors import UNKNOWN_HOST, UNTRUSTED, outcome_of_exception, words_and_cure
from oncegate_cognito.tokens import TokenVerifier, trusted

Perform = Callable[[Call, RequestContext], Outcome]

_MOST_WORDS: Final = 200
_MOST_BYTES: Final = 100_000
_USER_SCOPE: Final = "aws.cognito.signin.user.admin"
_REACH: Final = (
    "allow HTTPS to {host} from this machine: firewall, NAT, proxy; and check the region"
)
_WHICH_CLIENT: Final = "check the app client ID, and that the client belongs to this pool"
_WHICH_DOMAIN: Final = "check that the domain of ManagedLogin is that of pool_id= and client_id="
_PROVIDER: Final = "provider {}"
_LATER: Final = "try again later"


def check_set_up(
    app: AppClient, verifier: TokenVerifier, perform: Perform, auth_flow: str, ways_in: WaysIn
) -> list[Finding]:
    """Return what can be seen. Nothing is raised; what depends on a check that failed is left out.

    Args:
        app: the app client.
        verifier: verifies its tokens.
        perform: performs a call of the transport.
        auth_flow: how its sign-ins begin.
        ways_in: what its first step offers.
    """
    found = safely("user pool", partial(check_keys, verifier.keys_urls))
    if has_failed(found):
        return found
    client = safely("app client", partial(_client_findings, perform, auth_flow))
    found += client
    if not has_failed(client):
        found += safely("token revocation", partial(_revocation_findings, app))
    if login := app.managed_login:
        found += safely("managed login", partial(_login_findings, login, ways_in))
    return found


def has_failed(findings: Iterable[Finding]) -> bool:
    """Whether a check failed."""
    return any(finding.status == "failed" for finding in findings)


def safely(check: str, run: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Return findings; one that says so if they cannot be made."""
    try:
        return list(run())
    except Exception as error:  # noqa: BLE001 - the start of an application must not fail by a check
        found = f"this check failed itself: {type(error).__name__}"
        return [
            Finding(check, "failed", found, "report it, and sign in once to see whether it works")
        ]


# ── the pool ──


def check_keys(keys_urls: Iterable[str], timeout: float = 10.0) -> list[Finding]:
    """Return whether a user pool exists, by its public keys, and what this machine's clock shows.

    Args:
        keys_urls: URLs of the public keys; one that answers is enough.
        timeout: limit for each, in seconds.
    """
    failures = []
    # Older pools have the issuer that comes last: `oncegate_cognito._issuers`.
    for url in reversed(list(keys_urls)):
        sent_at = time.time()
        try:
            count, date = run_in_time(("check", url), partial(_fetch_keys, url, timeout), timeout)
        except urllib.error.HTTPError as error:
            error.close()
            failures.append(_http_finding(error.code, url))
        except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
            reason = getattr(error, "reason", error)
            found = f"no answer ({type(reason).__name__})"
            failures.append(Finding("Cognito answers", "failed", found, _cure_of(reason, url)))
        else:
            milliseconds = (time.time() - sent_at) * 1000
            found = f"has {count} public keys; answers in {milliseconds:.0f} ms"
            return [Finding("user pool", "ok", found), _clock_finding(date, sent_at)]
    return failures[:1]


def _fetch_keys(url: str, timeout: float) -> tuple[int, str]:
    # The scheme was checked: https, or http on this machine.
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=trusted()), _NoRedirects()
    )
    with opener.open(url, timeout=timeout) as answer:
        keys = json.loads(answer.read(_MOST_BYTES))["keys"]
        if not (isinstance(keys, list) and keys):
            raise ValueError("no keys")
        # A cache's answer has the time of its origin (RFC 9111, 5.1).
        date = "" if "Age" in answer.headers else answer.headers.get("Date")
        return len(keys), date or ""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows nothing: Cognito redirects no such request, and who does must not choose the host."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _cure_of(reason: object, url: str) -> str:
    if isinstance(reason, ssl.SSLError):
        return UNTRUSTED
    if isinstance(reason, socket.gaierror):
        return UNKNOWN_HOST
    return _REACH.format(host=urlsplit(url).hostname)


def _http_finding(status: int, url: str) -> Finding:
    if status >= 500 or status in {408, 429}:
        return Finding("Cognito answers", "failed", f"HTTP {status}", _LATER)
    if status not in {400, 404}:  # Cognito's own words for a pool that does not exist
        cure = _REACH.format(host=urlsplit(url).hostname)
        return Finding("Cognito answers", "failed", f"something else answers: HTTP {status}", cure)
    found = f"Cognito has no such pool (HTTP {status})"
    return Finding("user pool", "failed", found, "check the user pool ID, and its region")


def _clock_finding(date: str, sent_at: float) -> Finding:
    try:
        told = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return Finding(
            "clock", "warning", "Cognito did not tell the time", "see that this machine has NTP"
        )
    ahead = (sent_at + time.time()) / 2 - told - 0.5  # the header has whole seconds
    text = f"this machine is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Cognito"
    if abs(ahead) < CLOCK_DIFFERENCE:
        return Finding("clock", "ok", "this machine and Cognito agree")
    return Finding("clock", "warning", text, "synchronise this machine's clock, by NTP")


# ── the app client ──


def _client_findings(perform: Perform, auth_flow: str) -> Iterator[Finding]:
    """Check an app client, by a sign-in with a name that no user has.

    Cognito checks the client, its secret and the flow before the user. No request that can send a code
    to a user leaves: the name is random, and the proof of the password is not sent.
    """
    name = f"oncegate-check-{secrets.token_hex(16)}"
    event = SubmitPassword(username=name, password=secrets.token_urlsafe(24))
    assert event.password is not None
    call = CheckPassword(username=name, password=event.password)
    outcome = perform(call, RequestContext(user_agent="oncegate", may_send=lambda *_: False))
    words, cure = words_and_cure(str(getattr(outcome, "detail", "")) or outcome.type)
    match outcome:
        case Rejected(reason=RejectionReason.TRIGGER_REFUSED):
            yield Finding(
                "app client",
                "warning",
                f"takes {auth_flow}, and a trigger refused the check's user: {words}",
                cure or "see the log of the pool's Lambda trigger",
            )
            return
        case Rejected(reason=reason) if reason is not RejectionReason.WRONG_CREDENTIALS:
            if words.startswith("ResourceNotFoundException"):
                cure = _WHICH_CLIENT
            yield Finding("app client", "failed", words, cure or "see Cognito's API reference")
            return
        case NotSent(cause=cause) if cause != "too_many_codes":
            yield Finding("app client", "failed", f"no answer: {words}", cure or _LATER)
            return
    if outcome.type == "outcome_unknown":
        yield Finding("app client", "failed", f"no answer: {words}", cure or _LATER)
        return
    yield Finding("app client", "ok", f"takes passwords with {auth_flow}")
    if words.startswith("UserNotFoundException"):
        yield Finding(
            "user existence",
            "warning",
            "Cognito tells callers which users exist",
            "set PreventUserExistenceErrors to ENABLED in the app client",
        )
    else:
        yield Finding("user existence", "ok", "Cognito does not tell which users exist")


def _revocation_findings(app: AppClient) -> Iterator[Finding]:
    """Check whether the app client can revoke tokens, with a token that was never issued.

    What Cognito answers to such a token is not documented, except that the client may not.
    """
    secret = {} if app.secret is None else {"ClientSecret": app.secret.get_secret_value()}
    boto: Any = app.boto
    try:
        with limited(app.read_timeout):
            boto.revoke_token(Token=secrets.token_hex(32), ClientId=app.client_id, **secret)
    except ClientError as failure:
        if failure.response.get("Error", {}).get("Code") == "UnsupportedOperationException":
            words, cure = words_and_cure(str(getattr(outcome_of_exception(failure), "detail", "")))
            yield Finding("token revocation", "warning", words, cure)
    except BotoCoreError:
        return
    else:
        yield Finding("token revocation", "ok", "the app client can revoke tokens")


# ── managed login ──


def _login_findings(login: ManagedLoginClient, ways_in: WaysIn) -> Iterator[Finding]:
    names: list[str | None] = [provider.name for provider in ways_in.providers]
    for name in names or [None]:
        finding = _authorization_finding(login, name)
        yield finding
        if finding.status == "failed" and finding.check != _PROVIDER.format(name):
            return  # the others would fail as well
    if login.settings.logout_uri:
        yield _logout_finding(login, login.settings.logout_uri)
    if _USER_SCOPE not in login.settings.scopes:
        yield Finding(
            "session checks",
            "warning",
            "the tokens of managed login can neither check a session nor sign out everywhere",
            f"add the scope {_USER_SCOPE} to ManagedLogin and to AllowedOAuthScopes",
        )


def _authorization_finding(login: ManagedLoginClient, provider: str | None) -> Finding:
    """Ask the authorization endpoint as a browser does, and do not follow its answer."""
    url = login.authorize_url(
        provider=provider,
        state=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        language="",
    )
    answer = _asked(login, url)
    if isinstance(answer, Finding):
        return answer
    error, words = answer
    if not error:
        whom = f"takes users to {provider}" if provider else "answers"
        return Finding("managed login", "ok", whom)
    settings = login.settings
    said = f"{error}: {words}" if words else error
    if error == "redirect_mismatch":
        cure = (
            f"add {settings.redirect_uri} to the app client's CallbackURLs, character by character"
        )
        return Finding("redirect_uri", "failed", said, cure)
    if "scope" in words:
        cure = f"add to the app client's AllowedOAuthScopes: {' '.join(settings.scopes)}"
        return Finding("scopes", "failed", said, cure)
    if provider and "option" in error + words:
        cure = f"add {provider} to the app client's SupportedIdentityProviders"
        return Finding(_PROVIDER.format(provider), "failed", said, cure)
    if error == "unauthorized_client" or "not enabled" in words:
        cure = "set AllowedOAuthFlowsUserPoolClient to true, and AllowedOAuthFlows to code"
        return Finding("managed login", "failed", said, cure)
    return Finding("managed login", "failed", said, _WHICH_DOMAIN)


def _logout_finding(login: ManagedLoginClient, logout_uri: str) -> Finding:
    answer = _asked(login, login.logout_url(logout_uri))
    if isinstance(answer, Finding):
        return answer
    error, words = answer
    if not error:
        return Finding("logout_uri", "ok", "is one of the app client's LogoutURLs")
    cure = f"add {logout_uri} to the app client's LogoutURLs, character by character"
    return Finding("logout_uri", "failed", f"{error}: {words}" if words else error, cure)


def _asked(login: ManagedLoginClient, url: str) -> Finding | tuple[str, str]:
    """Return the error that the domain answers, with its description; both empty if there is none."""
    try:
        with limited(login.timeout):
            status, location = login.redirect_of(url)
    except (BotoCoreError, ValueError) as failure:
        words, cure = words_and_cure(str(getattr(outcome_of_exception(failure), "detail", "")))
        host = urlsplit(login.settings.domain).hostname
        return Finding(
            "managed login", "failed", f"no answer: {words}", cure or _REACH.format(host=host)
        )
    query = parse_qs(urlsplit(location).query)
    error = query.get("error", [""])[0][:_MOST_WORDS]
    if not error and status >= 500:
        return Finding("managed login", "failed", f"HTTP {status}", _LATER)
    if not error and status >= 400:
        cure = "check the domain of ManagedLogin: it serves no managed login"
        return Finding("managed login", "failed", f"HTTP {status}", cure)
    return error, query.get("error_description", [""])[0][:_MOST_WORDS]
