"""`Demo`: a shop with a sign-in page, and the user's phone beside it."""

from __future__ import annotations

import html
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from oncegate import Misconfigured, PasswordPolicy
from oncegate.adapters import RecordStore, Transport, new_key
from oncegate.testing import LocalCognito
from oncegate_web._web import WebSignIn
from oncegate_web.fastapi import CurrentUser, mount
from oncegate_web.pages import Brand


class Demo:
    """The shop, on a loopback port.

    Args:
        cognito: the local Cognito, whose messages the phone shows.
        transport_for: makes the transport to it, given the URL to which identity providers send the
            browser back.
        store: stores flows and sessions.
        hint: text for the page: who can sign in.
        port: TCP port; 0 for any free one.

    Attributes:
        url: URL of the page with the shop and the phone.
    """

    def __init__(
        self,
        *,
        cognito: LocalCognito,
        transport_for: Callable[[str], Transport],
        store: RecordStore,
        hint: str,
        port: int = 8000,
    ) -> None:
        self._cognito = cognito
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
            # Now, so that a browser that opens the URL before the server runs waits, and is not refused.
            self._socket.listen()
        except OSError as error:
            self._socket.close()
            raise Misconfigured(f"cannot listen on port {port}: {error.strerror}") from None
        self.url = f"http://localhost:{self._socket.getsockname()[1]}/"
        web = WebSignIn(
            transport=transport_for(f"{self.url}auth/callback"),
            store=store,
            keys=new_key(),
            home="/shop",
            frame_ancestors="'self'",
            retain_password=True,
            brand=Brand(name="The shop", home="/shop"),
            password_policy=PasswordPolicy(),
        )
        self.app = self._application(web, html.escape(hint))

    def serve_forever(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        config = uvicorn.Config(self.app, log_level="critical", access_log=False, lifespan="off")
        uvicorn.Server(config).run(sockets=[self._socket])

    def _application(self, web: WebSignIn, hint: str) -> FastAPI:
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        mount(app, web)

        @app.get("/", response_class=HTMLResponse)
        def both() -> str:
            return _BOTH.replace("HINT", hint)

        @app.get("/shop", response_class=HTMLResponse)
        def shop(user: CurrentUser) -> str:
            return _SHOP.replace("NAME", html.escape(user.username))

        @app.get("/phone", response_class=HTMLResponse)
        def phone() -> str:
            return _PHONE

        @app.get("/phone/messages")
        def messages() -> list[dict[str, str]]:
            return [
                {
                    "id": str(number),
                    "medium": message.medium,
                    "destination": message.destination,
                    "code": message.code,
                    "at": f"{message.sent_at:%H:%M:%S}",
                }
                for number, message in enumerate(self._cognito.messages())
            ]

        return app


_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/auth/static/demo.css"><title>oncegate demo</title></head>"""

_BOTH = (
    _HEAD
    + """<body class="both"><header><h1>A shop, and a phone</h1><p>HINT</p></header>
<main><iframe class="shop" src="/shop" title="The shop"></iframe>
<iframe class="phone" src="/phone" title="The phone"></iframe></main></body></html>"""
)

_SHOP = (
    _HEAD
    + """<body><main><h1>Welcome to the shop, NAME</h1>
<p>You are signed in. <a href="/auth/">Your sign-in</a></p></main></body></html>"""
)

_PHONE = (
    _HEAD
    + """<body class="screen"><h1>Messages</h1>
<ol id="messages" aria-live="polite"></ol><p id="count">0 messages</p>
<script type="module" src="/auth/static/phone.js"></script></body></html>"""
)
