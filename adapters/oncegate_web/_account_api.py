"""`AccountApi`: the JSON API of the account (``/account``), beside that of the sign-in."""

from __future__ import annotations

from typing import Any

from oncegate import InvalidInput, InvalidToken, Step
from oncegate.account import AccountEvent, AccountOverview
from oncegate.adapters import message, parse_account_event
from oncegate_web._account import AccountSite
from oncegate_web._context import BrowserContext
from oncegate_web._openapi import document
from oncegate_web._user import User
from oncegate_web.api import (
    Api,
    _no_such_flow,
    _not_signed_in,
    _patience,
    event_data,
    invalid_event,
    is_mistyped_code,
)
from oncegate_web.http import Request, Response, as_json, has_json, not_json, wrong_method


class AccountApi(Api):
    """The routes of the JSON API of a sign-in whose users change their accounts."""

    _site: AccountSite

    def respond(self, request: Request) -> Response:
        """Answer one request. Errors are problems (RFC 9457)."""
        methods = {
            "/account": {"GET": self._account},
            "/account/events": {"POST": self._change},
        }.get(request.path)
        if methods is None:
            return super().respond(request)
        answer = methods.get("GET" if request.method == "HEAD" else request.method)
        if answer is None:
            return wrong_method(methods)
        user = self._site.user_of(request)
        if user:
            return answer(request, user)
        closed = self._site.closed_step(request) if request.method == "POST" else None
        return self._step(request, closed) if closed else _not_signed_in()

    def _openapi(self, request: Request) -> Response:
        return as_json(document(request.prefix, account=True))

    def _account(self, request: Request, user: User) -> Response:
        made = Response()
        step = self._site.account_step(request, made, user, _patience(request))
        has = self._site.overview(request, made, user)
        if has is None:
            response = _not_signed_in()
        else:
            response = as_json({"account": _overview(has), "step": self._as_json(request, step)})
        response.cookies = made.cookies
        return response

    def _change(self, request: Request, user: User) -> Response:
        if not has_json(request):
            return not_json()
        made = Response()
        try:
            event, version, browser = self._account_event_of(request.body.bytes)
        except InvalidInput as error:
            return self._invalid_change(request, user, error)
        try:
            step = self._site.change_account(request, made, user, event, version, browser)
        except InvalidToken:
            return _not_signed_in()
        except InvalidInput:
            return _no_such_flow()
        response = self._step(request, step)
        response.cookies, response.removes_session = made.cookies, made.removes_session
        return response

    def _account_event_of(self, body: bytes) -> tuple[AccountEvent, int, BrowserContext]:
        """Return the event, the version of its step, and what came with it."""
        data, version = event_data(body)
        browser = self._site.contexts.of_json(data.pop("context", None))
        return parse_account_event(data), version, browser

    def _invalid_change(self, request: Request, user: User, error: InvalidInput) -> Response:
        """Answer an event that cannot be sent: a mistyped code is a step with a reason."""
        if is_mistyped_code(error):
            made = Response()
            step: Step = self._site.account_step(request, made, user)
            reason = message("invalid_input", field="code")
            response = self._step(request, step.model_copy(update={"reason": reason}))
            response.cookies = made.cookies
            return response
        return invalid_event(error)


def _overview(has: AccountOverview) -> dict[str, Any]:
    return {
        "username": has.username,
        "addresses": dict(has.addresses),
        "verified": sorted(has.verified),
        "second_factors": [str(one) for one in has.second_factors],
        "preferred": str(has.preferred) if has.preferred else None,
        "passkeys": [
            {
                "key": one.key,
                "name": one.name,
                "created_at": one.created_at.isoformat() if one.created_at else None,
            }
            for one in has.passkeys
        ],
        "devices": [
            {
                "key": one.key,
                "name": one.name,
                "last_signed_in_at": (
                    one.last_signed_in_at.isoformat() if one.last_signed_in_at else None
                ),
            }
            for one in has.devices
        ],
        "has_password": has.has_password,
    }
