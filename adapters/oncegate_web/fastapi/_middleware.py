"""The middleware that `OncegateAuth.install` adds."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oncegate import Misconfigured
from oncegate_web.fastapi._scope import KEY, Installed, Seen, native
from oncegate_web.http import Fields, as_private, without_cookies


class OncegateMiddleware:
    """Takes the sign-in's cookies out of the request, and keeps users' pages out of shared caches."""

    def __init__(self, app: ASGIApp, installed: Installed) -> None:
        self._app = app
        self._installed = installed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        seen = self._take_cookies(scope)
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if seen.refusal is not None:
                if message["type"] == "http.response.start":
                    await native(seen.refusal)(scope, receive, send)
                return
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if seen.is_shared:
                    headers = [one for one in headers if one[0].lower() != b"set-cookie"]
                elif seen.depends_on_user:
                    headers = _as_private(headers)
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_guarded)

    def _take_cookies(self, scope: Scope) -> Seen:
        """Move our cookies out of the scope, which error reporters store whole, into the `Seen`."""
        auth = self._installed.auth
        name = auth.web.name
        headers = scope["headers"]
        sent = b"; ".join(value for key, value in headers if key == b"cookie").decode("latin-1")
        found: dict[str, Seen] = scope.setdefault(KEY, {})
        if name not in found:
            found[name] = Seen(self._installed, scope, Fields({"cookie": sent}))
        elif found[name].installed.auth is not auth:
            raise Misconfigured(twice(name))
        others = without_cookies(sent, name)
        if others != sent:
            kept = [(key, value) for key, value in headers if key != b"cookie"]
            scope["headers"] = [*kept, (b"cookie", others.encode("latin-1"))] if others else kept
        return found[name]


def twice(name: str) -> str:
    """Return what is wrong if two sign-ins have one name."""
    return (
        f"two sign-ins are named {name!r}, and would overwrite each other's cookies: make one of them "
        'with WebSignIn(name="staff")'
    )


def _as_private(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    text = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in as_private(text)
    ]
