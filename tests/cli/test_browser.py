"""The loopback port to which the browser comes back from an identity provider."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import pytest
import typer

from oncegate import FlowState, Misconfigured, Step, SubmitAuthorization
from oncegate_cli import _browser
from oncegate_cli._browser import Browser, browser_at

ANSWERED = "code=the-code&state=the-state"


@pytest.fixture
def browser() -> Iterator[Browser]:
    with browser_at(0, opens=False) as made:
        yield made


def waiting(seconds: float = 10.0) -> Step:
    """Return a step with an address to go to, which ends in some seconds."""
    return Step(
        flow_id="f" * 32,
        version=2,
        state=FlowState.AWAITING_PROVIDER,
        authorize_url="https://auth.example.com/oauth2/authorize",
        expires_at=datetime.now(UTC) + timedelta(seconds=seconds),
    )


def test_code_becomes_an_event(browser: Browser) -> None:
    page = httpx.get(f"{browser.redirect_uri}?{ANSWERED}&session_state=more")
    assert page.status_code == 200
    assert "Go back to the terminal." in page.text
    assert browser.answer(waiting()) == SubmitAuthorization(code="the-code", state="the-state")


def test_error_becomes_an_event(browser: Browser) -> None:
    words = "x" * 3000
    httpx.get(f"{browser.redirect_uri}?error=access_denied&error_description={words}&state=s")
    event = browser.answer(waiting())
    assert isinstance(event, SubmitAuthorization)
    assert event.error == "access_denied"
    assert event.error_description == words[:1024]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "state=s",
        "code=c",
        "code=c&error=e&state=s",
        "code=c&code=d&state=s",
        "code=c&state=s&state=t",
        f"code=c&state=s&{'&'.join(f'p{number}=1' for number in range(60))}",
        f"code={'c' * 5000}&state=s",
    ],
    ids=lambda query: query[:30] or "nothing",
)
def test_answer_that_is_none_is_refused_and_the_next_one_counts(
    query: str, browser: Browser
) -> None:
    assert httpx.get(f"{browser.redirect_uri}?{query}").status_code == 400
    httpx.get(f"{browser.redirect_uri}?{ANSWERED}")
    assert browser.answer(waiting()) == SubmitAuthorization(code="the-code", state="the-state")


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/favicon.ico"), ("POST", "")])
def test_other_request_is_no_answer(method: str, path: str, browser: Browser) -> None:
    address = (
        browser.redirect_uri.removesuffix("/callback") + path if path else browser.redirect_uri
    )
    assert httpx.request(method, f"{address}?{ANSWERED}").status_code in {404, 501}
    assert browser.answer(waiting(seconds=0.1)) is None


def test_page_has_nothing_of_the_answer_and_is_not_stored(browser: Browser) -> None:
    page = httpx.get(f"{browser.redirect_uri}?{ANSWERED}")
    assert "the-code" not in page.text
    assert "the-state" not in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Server"] == "oncegate"


def test_connection_that_sends_nothing_does_not_delay_the_answer(browser: Browser) -> None:
    port = urlsplit(browser.redirect_uri).port
    with socket.create_connection(("127.0.0.1", port or 0)):
        httpx.get(f"{browser.redirect_uri}?{ANSWERED}", timeout=5)
        assert browser.answer(waiting()) is not None


def test_requests_and_broken_connections_write_nothing(
    browser: Browser, capfd: pytest.CaptureFixture[str]
) -> None:
    port = urlsplit(browser.redirect_uri).port
    with socket.create_connection(("127.0.0.1", port or 0)) as broken:
        broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        broken.sendall(b"GET /callback?code=the-code")
    httpx.get(f"{browser.redirect_uri}?{ANSWERED}")
    httpx.get(f"{browser.redirect_uri}?code=the-code")
    assert capfd.readouterr() == ("", "")


def test_browser_is_opened_once_for_each_address(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(typer, "launch", opened.append)
    step = waiting(seconds=0.0)
    another = step.model_copy(update={"authorize_url": "https://auth.example.com/another"})
    with browser_at(0, opens=True) as browser:
        for one in (step, step, another):
            assert browser.answer(one) is None
    assert opened == [step.authorize_url, another.authorize_url]


def test_sign_out_ends_when_the_browser_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[str] = []

    def open_page(url: str) -> None:
        pages.append(httpx.get(url).text)

    monkeypatch.setattr(typer, "launch", open_page)
    with browser_at(0, opens=True) as browser:
        assert httpx.get(browser.redirect_uri).status_code == 400, "not before"
        browser.sign_out(browser.redirect_uri)
    assert "Go back to the terminal." in pages[0]


def test_sign_out_ends_if_the_browser_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(typer, "launch", opened.append)
    monkeypatch.setattr(_browser, "_SLOWEST_SIGN_OUT", 0.05)
    with browser_at(0, opens=True) as browser:
        browser.sign_out("https://auth.example.com/logout")
    assert opened == ["https://auth.example.com/logout"]


def test_port_is_free_again_afterwards() -> None:
    with browser_at(0, opens=False) as browser:
        port = urlsplit(browser.redirect_uri).port or 0
        with pytest.raises(Misconfigured, match=f"cannot listen on port {port}"):
            browser_at(port, opens=False).__enter__()
    with browser_at(port, opens=False) as again:
        assert again.redirect_uri == browser.redirect_uri == f"http://localhost:{port}/callback"


def test_port_is_closed_to_other_machines(browser: Browser) -> None:
    assert browser._server.server_address[0] == "127.0.0.1"
