"""A page as somebody without JavaScript uses it: forms are read off the HTML and posted."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx


@dataclass
class Form:
    action: str = ""
    method: str = "get"
    values: dict[str, str] = field(default_factory=dict)


class PageReader(HTMLParser):
    """Reads the forms, the state and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: dict[str, Form] = {}
        self.state = ""
        self.text = ""
        self._form = Form()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "body":
            self.state = has.get("data-state", "")
        elif tag == "form":
            self._form = Form(has.get("action", ""), has.get("method", "get"))
            self.forms[has["id"]] = self._form
        elif tag == "input" and (has.get("type") != "radio" or "checked" in has):
            self._form.values[has["name"]] = has.get("value", "")

    def handle_data(self, data: str) -> None:
        self.text += data


class Visit:
    """One person in one browser: `oncegate.testing.Interface`, over the pages."""

    def __init__(self, client: httpx.Client, at: str = "/auth/") -> None:
        self.client = client
        self.at = at
        self.response: httpx.Response | None = None
        self.page = PageReader("")
        self.last: tuple[str, dict[str, str]] | None = None

    def open(self) -> str:
        return self._shown(self.client.get(self.at))

    def say(self, event: str, **fields: str) -> str:
        form = self.page.forms[event.replace("_", "-")]
        assert form.method == "post"
        self.last = form.action, {**form.values, **fields}
        return self.say_again()

    def say_again(self) -> str:
        assert self.last is not None
        action, values = self.last
        origin = str(self.client.base_url).rstrip("/")
        headers = {"origin": origin, "referer": f"{origin}/auth/"}
        return self._shown(self.client.post(action, data=values, headers=headers))

    def shown(self) -> str:
        assert self.response is not None
        return self.response.text

    def _shown(self, response: httpx.Response) -> str:
        seen = [response]
        while seen[-1].status_code == 303 and len(seen) < 5:
            seen.append(self.client.get(seen[-1].headers["location"]))
        self.response = seen[-1]
        if self.response.headers["content-type"].startswith("application/json"):
            # Home: where somebody comes who is signed in, and whoever has signed out.
            return self._shown(self.client.get("/auth/"))
        self.page = PageReader(self.response.text)
        return self.page.state
