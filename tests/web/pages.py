"""A page as a user without JavaScript uses it: forms are read from the HTML and posted."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx


@dataclass
class Form:
    action: str = ""
    method: str = "get"
    button: str = ""
    values: dict[str, str] = field(default_factory=dict)


class PageReader(HTMLParser):
    """Reads the forms, the links, the state, the heading and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: dict[str, Form] = {}
        self.links: dict[str, str] = {}
        self.choices: dict[str, dict[str, str]] = {}
        self.state = ""
        self.heading = ""
        self.text = ""
        self._form = Form()
        self._tag = ""
        self._is_own_button = False
        self._link = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        has = {name: value or "" for name, value in attrs}
        if tag == "body":
            self.state = has.get("data-state", "")
        elif tag == "form":
            self._form = Form(has.get("action", ""), has.get("method", "get"))
            self.forms[has["id"]] = self._form
        elif tag == "input" and (has.get("type") not in {"radio", "checkbox"} or "checked" in has):
            if "name" in has:  # otherwise it is for password managers
                self._form.values[has["name"]] = has.get("value", "")
        elif tag == "button":
            self._is_own_button = has.get("type") != "button" and "form" not in has
            if has.get("name"):
                self.choices[has["value"]] = {has["name"]: has["value"]}
        elif tag == "a":
            self._link = has.get("href", "")

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._tag == "button" and self._is_own_button:
            self._form.button += data
        elif self._tag == "a":
            self.links[data] = self._link
        elif self._tag == "h1":
            self.heading += data


class Visit:
    """One user in one browser: `oncegate.testing.Interface`, over the pages."""

    def __init__(self, client: httpx.Client, at: str = "/auth/") -> None:
        self.client = client
        self.at = at
        self.response: httpx.Response | None = None
        self.page = PageReader("")
        self.last: tuple[str, dict[str, str]] | None = None

    def open(self) -> str:
        return self._shown(self.client.get(self.at))

    def follow(self, text: str) -> str:
        """Follow the link with this text."""
        return self._shown(self.client.get(self.page.links[text]))

    def filled(self, form: str, **fields: str) -> tuple[str, dict[str, str]]:
        """Return the URL of a form and its values, filled in."""
        found = self.page.forms[form]
        assert found.method == "post"
        return found.action, {**found.values, **fields}

    def say(self, event: str, **fields: str) -> str:
        self.last = self.filled(event.replace("_", "-"), **fields)
        return self.say_again()

    def say_again(self) -> str:
        assert self.last is not None
        return self._shown(self.post(*self.last))

    def post(self, action: str, values: dict[str, str]) -> httpx.Response:
        origin = str(self.client.base_url).rstrip("/")
        headers = {"origin": origin, "referer": f"{origin}/auth/"}
        return self.client.post(action, data=values, headers=headers)

    def shown(self) -> str:
        assert self.response is not None
        return self.response.text

    def _shown(self, response: httpx.Response) -> str:
        seen = [response]
        while seen[-1].status_code == 303 and len(seen) < 5:
            seen.append(self.client.get(seen[-1].headers["location"]))
        self.response = seen[-1]
        if self.response.headers["content-type"].startswith("application/json"):
            # The home page, where sign-in and sign-out lead.
            return self._shown(self.client.get("/auth/"))
        self.page = PageReader(self.response.text)
        return self.page.state


def flow_cookie(client: httpx.Client, sign_in: str = "oncegate") -> str:
    """Return the name of the cookie of the browser's flow, or an empty one if it has none."""
    names = [cookie.name for cookie in client.cookies.jar]
    return next((name for name in names if name.startswith(f"{sign_in}_flow.")), "")


def event_of(event: str, fields: dict[str, str]) -> dict[str, Any]:
    """Return an event as JSON, with the fields that are named ``attributes.…`` in one mapping."""
    attributes = {
        name.removeprefix("attributes."): value
        for name, value in fields.items()
        if name.startswith("attributes.")
    }
    others = {name: value for name, value in fields.items() if not name.startswith("attributes.")}
    return {"type": event, **others, **({"attributes": attributes} if attributes else {})}


class Program:
    """A page with its own JavaScript: `oncegate.testing.Interface`, over the JSON API."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.step: dict[str, Any] = {}
        self.last: tuple[str, dict[str, Any]] | None = None

    def open(self) -> str:
        response = self.client.get("/auth/flows/current")
        if response.status_code == 404:
            response = self.client.post("/auth/flows")
            assert response.status_code == 201
        return self._shown(response)

    def say(self, event: str, **fields: str) -> str:
        body = {**event_of(event, fields), "version": self.step["version"]}
        self.last = f"/auth/flows/{self.step['flow_id']}/events", body
        return self.say_again()

    def say_again(self) -> str:
        assert self.last is not None
        return self._shown(self.client.post(self.last[0], json=self.last[1]))

    def shown(self) -> str:
        return str(self.step)

    def _shown(self, response: httpx.Response) -> str:
        assert response.is_success, response.text
        self.step = response.json()
        state: str = self.step["state"]
        return state
