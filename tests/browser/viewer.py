"""Shows the pages of `tests.browser.states` in a browser, each by its name."""

from __future__ import annotations

from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from playwright.sync_api import Browser, Page
from tests.browser.states import page_of, template_of

import oncegate_web
from oncegate_web import JinjaRenderer
from oncegate_web._csp import content_security_policy
from oncegate_web._static import static_file
from oncegate_web.http import Request

STATIC = Path(oncegate_web.__file__).with_name("assets")
THEME = """.oncegate {
  --og-accent: light-dark(#0b7a4b, #6fd3a4);
  --og-on-accent: light-dark(#fff, #06251a);
  --og-radius: 0;
}
"""
"""An application's style sheet of five lines, at ``/theme.css``."""

_POLICY = content_security_policy({}, "'none'")


class Viewer:
    """One page of a browser, in one mode, in which every state is shown, one after another.

    Args:
        browser: the browser.
        options: options of the context, such as ``java_script_enabled``.

    Attributes:
        page: the page of the browser.
        site: origin of the pages.
        requests: path and size in bytes of each answer since the state was shown. Browsers keep the
            static files.
        errors: what the browser complained about since then, such as a blocked style.
        posted: fields of the forms that were posted since then.
    """

    def __init__(self, browser: Browser, **options: Any) -> None:
        self._context = browser.new_context(locale="en-GB", reduced_motion="reduce", **options)
        self._context.set_default_timeout(10_000)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, daemon=True).start()
        self.site = f"http://127.0.0.1:{self._server.server_port}"
        self._render = JinjaRenderer()
        self._html = ""
        self.requests: list[tuple[str, int]] = []
        self.errors: list[str] = []
        self.posted: list[dict[str, str]] = []
        self.page: Page = self._context.new_page()
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def show(self, name: str, language: str = "en", query: str = "", **more: Any) -> Page:
        """Show a state.

        Args:
            name: one of `tests.browser.states.NAMES`.
            language: BCP 47 tag.
            query: query of the page's address, with its question mark.
            more: further arguments of `tests.browser.states.builder`.
        """
        shown = page_of(name, language, **more)
        self._html = self._render(template_of(shown), shown)
        for of_last_state in (self.requests, self.errors, self.posted):
            of_last_state.clear()
        self.page.goto(f"{self.site}/auth/{query}")
        return self.page

    def close(self) -> None:
        """Close the page."""
        self._context.close()
        self._server.shutdown()
        self._server.server_close()

    def _note(self, kind: str, text: str) -> None:
        if kind == "error":
            self.errors.append(text)

    def _answer(self, handler: BaseHTTPRequestHandler, form: str) -> None:
        address = urlsplit(handler.path)
        if handler.command == "POST":
            fields = parse_qs(form, keep_blank_values=True)
            self.posted.append({name: values[0] for name, values in fields.items()})
            _send(handler, 204)  # the page stays, as while the server works
        elif "waited=" in address.query:
            _send(handler, 204)
        elif address.path.startswith("/auth/static/"):
            file = static_file(Request("GET", address.path.removeprefix("/auth")))
            assert file is not None
            self._serve(handler, file.body, file.content_type.partition(";")[0])
        elif address.path == "/theme.css":
            self._serve(handler, THEME.encode(), "text/css")
        elif address.path == "/axe.js":
            self._serve(handler, AXE_SCRIPT.encode(), "text/javascript")
        elif address.path == "/auth/":
            self._serve(handler, self._html.encode(), "text/html")
        else:
            _send(handler, 204)  # the icon that browsers ask for

    def _serve(self, handler: BaseHTTPRequestHandler, body: bytes, kind: str) -> None:
        self.requests.append((urlsplit(handler.path).path, len(body)))
        headers = {"Content-Type": f"{kind}; charset=utf-8"}
        if "v=" in handler.path:
            headers["Cache-Control"] = "max-age=600"
        if kind == "text/html":
            headers["Content-Security-Policy"] = _POLICY
        _send(handler, 200, body, headers)


def _send(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes = b"",
    headers: Mapping[str, str] = MappingProxyType({}),
) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _handler_for(viewer: Viewer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # keeps the connection

        def do_GET(self) -> None:
            viewer._answer(self, "")

        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            viewer._answer(self, self.rfile.read(size).decode())

        def log_message(self, *values: Any, **options: Any) -> None:
            """Print nothing."""

    return Handler


_ARABIC = {
    "title.idle": "تسجيل الدخول",
    "title.idle.password_for_new_code": "إرسال رمز جديد",
    "title.password_verified": "تأكيد هويتك",
    "title.choosing_first_factor": "اختر طريقة تسجيل الدخول",
    "title.awaiting_password": "أدخل كلمة المرور",
    "title.awaiting_mfa.SMS_MFA": "تحقق من هاتفك",
    "title.awaiting_mfa.EMAIL_OTP": "تحقق من بريدك الإلكتروني",
    "title.awaiting_new_password": "اختر كلمة مرور جديدة",
    "title.awaiting_reset": "إعادة تعيين كلمة المرور",
    "title.offering_device": "هل تريد تذكّر هذا الجهاز؟",
    "title.authenticated": "تم تسجيل دخولك",
    "field.username.email": "البريد الإلكتروني",
    "field.password": "كلمة المرور",
    "field.new_password": "كلمة المرور الجديدة",
    "field.code": "الرمز",
    "field.keep_signed_in": "إبقائي مسجّل الدخول",
    "action.submit_password": "تسجيل الدخول",
    "action.submit_code.awaiting_mfa": "تحقق وسجّل الدخول",
    "action.cancel": "العودة إلى تسجيل الدخول",
    "action.continue": "متابعة",
    "link.forgot_password": "هل نسيت كلمة المرور؟",
    "action.not_you": "ليس أنت؟",
    "action.request_new_code": "إرسال رمز جديد",
    "action.show": "إظهار",
    "action.hide": "إخفاء",
    "action.sign_out": "تسجيل الخروج",
    "hint.sent_sms": "أرسلنا رمزًا في رسالة نصية إلى {destination}.",
    "hint.sent_email": "أرسلنا رمزًا إلى {destination}. تحقق من البريد العشوائي أيضًا.",
    "hint.new_code_in": "إرسال رمز جديد خلال {time}",
    "message.wrong_credentials.email": "البريد الإلكتروني أو كلمة المرور غير صحيحة.",
    "message.wrong_code": "الرمز غير صحيح. تحقق منه وحاول مرة أخرى.",
    "factor.SMS_MFA": "رسالة نصية",
    "factor.EMAIL_OTP": "البريد الإلكتروني",
}


def write_arabic(folder: Path) -> Path:
    """Write an application's Arabic catalogue, in which some texts are missing; return the folder."""
    catalogue = Catalog(locale="ar", domain="oncegate")
    for code, text in _ARABIC.items():
        catalogue.add(code, text)
    path = folder / "ar" / "LC_MESSAGES" / "oncegate.mo"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        write_mo(file, catalogue)
    return folder
