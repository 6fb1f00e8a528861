"""Shows the pages of `tests.browser.states` in a browser, as a server would, without one."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from playwright.sync_api import Browser, Page, Route
from tests.browser.states import page_of

import oncegate_web
from oncegate_web import JinjaRenderer
from oncegate_web._csp import content_security_policy

STATIC = Path(oncegate_web.__file__).with_name("static")
SITE = "http://localhost"
"""Browsers treat this host as secure, which the clipboard and passkeys need."""

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
        requests: path and size in bytes of each answer since the state was shown.
        errors: what the browser complained about since then, such as a blocked style.
        posted: fields of the forms that were posted since then.
    """

    def __init__(self, browser: Browser, **options: Any) -> None:
        self._context = browser.new_context(locale="en-GB", reduced_motion="reduce", **options)
        self._context.set_default_timeout(10_000)
        self._context.route("**/*", self._answer)
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
        self._html = self._render("oncegate/page.html", page_of(name, language, **more))
        for of_last_state in (self.requests, self.errors, self.posted):
            of_last_state.clear()
        self.page.goto(f"{SITE}/auth/{query}")
        return self.page

    def close(self) -> None:
        """Close the page."""
        self._context.close()

    def _note(self, kind: str, text: str) -> None:
        if kind == "error":
            self.errors.append(text)

    def _answer(self, route: Route) -> None:
        address = urlsplit(route.request.url)
        if route.request.method == "POST":
            fields = parse_qs(route.request.post_data or "", keep_blank_values=True)
            self.posted.append({name: values[0] for name, values in fields.items()})
            route.fulfill(status=204)  # the page stays, as while the server works
        elif "waited=" in address.query:
            route.fulfill(status=204)
        elif address.path.startswith("/auth/static/"):
            file = STATIC / address.path.rpartition("/")[2]
            self._send(route, file.read_bytes(), mimetypes.guess_type(file.name)[0] or "")
        elif address.path == "/theme.css":
            self._send(route, THEME.encode(), "text/css")
        elif address.path == "/auth/":
            self._send(route, self._html.encode(), "text/html")
        else:
            route.fulfill(status=404)

    def _send(self, route: Route, body: bytes, kind: str) -> None:
        self.requests.append((urlsplit(route.request.url).path, len(body)))
        headers = {"Content-Type": f"{kind}; charset=utf-8"}
        if kind == "text/html":
            headers["Content-Security-Policy"] = _POLICY
        route.fulfill(body=body, headers=headers)


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
    "action.forgot_password": "هل نسيت كلمة المرور؟",
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
