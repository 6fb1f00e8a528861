"""The pages of managed login, without JavaScript: the sign-in, the pretend provider, and the error."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from urllib.parse import urlsplit

from oncegate_sandbox.faults import Reply

_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:24rem;margin:3rem auto;padding:0 1rem}"
    "label,input,button,a.button{display:block;box-sizing:border-box;width:100%}"
    "input,button,a.button{font:inherit;padding:.5rem;margin:.25rem 0 1rem}"
    "input,button,a.button{border:1px solid #595959;border-radius:.25rem}"
    "a.button{text-align:center;text-decoration:none;color:#0b3d91}"
    "button{background:#0b3d91;color:#fff}button.second{background:#fff;color:#0b3d91}"
    "[role=alert]{border-left:.25rem solid #b00020;padding-left:.5rem}"
)
_STYLE_HASH = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()


def provider_page(
    provider: str, *, action: str, back: str, email: str = "", message: str = ""
) -> Reply:
    """Return the page that stands for a provider's own.

    Args:
        provider: name of the provider.
        action: URL that the form is sent to.
        back: URL of the application, to which the form's answer redirects.
        email: value of the field. Default: empty.
        message: what is wrong with the entry. Default: nothing.
    """
    title = f"Pretend {provider}"
    return _page(
        title,
        f"<p>This page of the sandbox stands for {escape(provider)}.</p>"
        f'{_alert(message)}<form method="post" action="{escape(action)}">'
        f"{_field('email', 'Email', email, type_='email', autocomplete='email')}"
        '<button name="action" value="continue">Continue</button>'
        '<button name="action" value="deny" class="second" formnovalidate>Deny</button></form>',
        back=back,
    )


def sign_in_page(
    *,
    action: str,
    back: str,
    links: Mapping[str, str],
    has_form: bool,
    username: str = "",
    message: str = "",
) -> Reply:
    """Return the page on which the user chooses a provider, or enters name and password.

    Args:
        action: URL that the form is sent to.
        back: URL of the application, to which the form's answer redirects.
        links: URL of each provider's sign-in, by the provider's name.
        has_form: whether the app client allows users of the pool itself.
        username: value of the field. Default: empty.
        message: why the last attempt failed. Default: nothing.
    """
    providers = "".join(
        f'<a class="button" href="{escape(url)}">Continue with {escape(name)}</a>'
        for name, url in links.items()
    )
    form = (
        f'<form method="post" action="{escape(action)}">'
        f"{_field('username', 'Username', username, autocomplete='username')}"
        f"{_field('password', 'Password', type_='password', autocomplete='current-password')}"
        "<button>Sign in</button></form>"
    )
    content = _alert(message) + providers + (form if has_form else "")
    return _page("Sign in", content, back=back)


def code_page(
    *, action: str, back: str, hidden: Mapping[str, str], hint: str, message: str = ""
) -> Reply:
    """Return the page that asks for a code.

    Args:
        action: URL that the form is sent to.
        back: URL of the application, to which the form's answer redirects.
        hidden: fields that the form returns.
        hint: where the code is to be found.
        message: why the last code was rejected. Default: nothing.
    """
    field = _field("code", "Code", autocomplete="one-time-code")
    return _page(
        "Enter the code",
        f'<p>{escape(hint)}</p>{_alert(message)}<form method="post" action="{escape(action)}">'
        f"{_hidden(hidden)}{field}<button>Confirm</button></form>",
        back=back,
    )


def choice_page(
    *, action: str, back: str, hidden: Mapping[str, str], factors: Mapping[str, str]
) -> Reply:
    """Return the page on which the user chooses a second factor.

    Args:
        action: URL that the form is sent to.
        back: URL of the application, to which the form's answer redirects.
        hidden: fields that the form returns.
        factors: what each button says, by the value that it sends.
    """
    buttons = "".join(
        f'<button name="code" value="{escape(value)}">{escape(text)}</button>'
        for value, text in factors.items()
    )
    return _page(
        "Choose how to confirm",
        f'<form method="post" action="{escape(action)}">{_hidden(hidden)}{buttons}</form>',
        back=back,
    )


def error_page(error: str) -> Reply:
    """Return the page that ends a sign-in which has no application to return to."""
    text = f"<p>{escape(error)}</p>" if error else ""
    page = _page("An error was encountered with the requested page.", text)
    return Reply(400, page.body, page.media_type, page.headers, error or None)


def _field(
    name: str, label: str, value: str = "", *, type_: str = "text", autocomplete: str
) -> str:
    return (
        f'<label for="{name}">{label}</label><input id="{name}" name="{name}" type="{type_}" '
        f'value="{escape(value)}" autocomplete="{autocomplete}" required>'
    )


def _hidden(fields: Mapping[str, str]) -> str:
    return "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
    )


def _alert(message: str) -> str:
    return f'<p role="alert">{escape(message)}</p>' if message else ""


# So that a demo can show them in a frame. Managed login refuses frames.
_FRAMES = "http://localhost:* http://127.0.0.1:*"


def _page(title: str, content: str, *, back: str = "") -> Reply:
    heading = escape(title)
    body = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{heading}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main><h1>{heading}</h1>{content}</main></body></html>"
    )
    headers = {
        # Browsers compare each redirect of a form's answer with form-action: it names the application.
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
            f"frame-ancestors {_FRAMES}; form-action 'self'{_source(back)}"
        ),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Reply(200, body.encode(), "text/html; charset=utf-8", headers)


def _source(url: str) -> str:
    """Return the origin of a URL as a source of a content security policy, after a blank."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        return f" {parts.scheme}:" if parts.scheme else ""
    if parts.hostname is None or ":" in parts.hostname:  # a policy cannot name an IPv6 address
        return f" {parts.scheme}:"
    port = f":{parts.port}" if parts.port else ""
    return f" {parts.scheme}://{parts.hostname}{port}"
