"""Cookies, origins, redirects, errors and sessions, in each framework."""

from __future__ import annotations

import hashlib
import json
import mimetypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from tests.doubles import ManualClock, a_text, the_tokens
from tests.web.example_apps import client_of, web_at, web_for
from tests.web.pages import Program, Visit, flow_cookie

from oncegate import StoreUnavailable
from oncegate.adapters import TEXTS, ChallengeIssued, OutcomeUnknown, UnknownChallenge
from oncegate.testing import ScriptedTransport
from oncegate_sandbox import PoolSeed, Sandbox, Seed
from oncegate_sandbox.seed import DEMO_SEED
from oncegate_stores import MemoryStore
from oncegate_web.http import local_path

ANA = {"username": "ana", "password": "Correct-horse-1"}
CODE = {"code": "123456"}


@contextmanager
def visiting(
    framework: str, *outcomes: Any, base_url: str = "http://shop.localhost", **more: Any
) -> Iterator[tuple[Visit, ScriptedTransport]]:
    transport = ScriptedTransport(*outcomes)
    with client_of(framework, web_for(transport, **more), base_url) as client:
        yield Visit(client), transport


def signed_in(visit: Visit) -> None:
    visit.open()
    visit.say("submit_password", **ANA)
    assert visit.say("submit_code", **CODE) == "authenticated"


def _without_values(html: str) -> str:
    """Return a page without what differs between flows."""
    return re.sub(r' value="[^"]*"', "", html)


class TestCookies:
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_every_cookie_is_http_only_and_same_site(self, framework: str, scheme: str) -> None:
        base_url = f"{scheme}://shop.localhost"
        with visiting(framework, a_text(), the_tokens(), base_url=base_url) as (visit, _):
            seen: list[str] = []
            visit.client.event_hooks["response"].append(
                lambda response: seen.extend(response.headers.get_list("set-cookie"))
            )
            signed_in(visit)
            names = {cookie.partition("=")[0].strip() for cookie in seen}
            prefix = "__Host-" if scheme == "https" else ""
            ours = names - {"session", "csrftoken"}  # Flask's and Django's own
            kinds = {name.partition(".")[0] for name in ours}  # each flow has a name of its own
            assert kinds == {f"{prefix}oncegate_flow", f"{prefix}oncegate_session"}
            for cookie in (cookie for cookie in seen if "oncegate" in cookie):
                parts = {part.strip().lower() for part in cookie.split(";")}
                assert {"httponly", "samesite=lax", "path=/"} <= parts
                assert ("secure" in parts) is (scheme == "https")

    def test_second_sign_in_gets_new_session_id(self, framework: str) -> None:
        outcomes = [a_text(), the_tokens()] * 2
        with visiting(framework, *outcomes) as (visit, _):
            signed_in(visit)
            first = visit.client.cookies["oncegate_session"]
            assert not flow_cookie(visit.client)
            visit.say("sign_out")
            assert "oncegate_session" not in visit.client.cookies
            signed_in(visit)
            assert visit.client.cookies["oncegate_session"] != first

    def test_forged_cookie_is_rejected(self, framework: str) -> None:
        with visiting(framework) as (visit, _):
            for value in ("x", "A" * 32, "%C3%A9", ""):
                header = f"oncegate_session={value}; oncegate_flow={value}; oncegate_device={value}"
                cookie = {"cookie": header}
                answer = visit.client.get("/orders", headers=cookie)
                assert answer.status_code == 303
                assert visit.client.get("/auth/", headers=cookie).status_code == 200


class TestHeaders:
    def test_page_is_not_cached_and_runs_no_inline_script(self, framework: str) -> None:
        with visiting(framework) as (visit, _):
            for path in ("/auth/", "/auth/flows/current", "/auth/nothing"):
                headers = visit.client.get(path).headers
                assert headers["cache-control"] == "no-store"
                policy = headers["content-security-policy"]
                assert "script-src 'self';" in policy
                assert "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy
                assert headers["x-content-type-options"] == "nosniff"
                assert headers["referrer-policy"] == "same-origin"
            page = visit.client.get("/auth/").text
            assert "<style" not in page
            assert " onclick" not in page
            assert "<script>" not in page

    def test_static_file_of_a_page_is_kept_for_ever(self, framework: str) -> None:
        with visiting(framework, a_text()) as (visit, _):
            visit.open()
            visit.say("submit_password", **ANA)
            found = re.findall(r'"(/auth/static/[^"]*)"', visit.shown())
            assert len(found) == 3
            for url in found:
                answer = visit.client.get(url)
                assert "immutable" in answer.headers["cache-control"]
                digest = hashlib.sha256(answer.content).hexdigest()
                assert digest.startswith(url.partition("?v=")[2])

    def test_other_address_of_a_static_file_is_asked_for_again(self, framework: str) -> None:
        with visiting(framework) as (visit, _):
            for name, kind, kept in (
                ("page.css", "text/css", "public, max-age=3600"),
                ("oncegate.js", "text/javascript", "public, max-age=3600"),
                # Of a later release, whose workers run beside this one.
                ("page.css?v=0123456789ab", "text/css", "no-cache"),
            ):
                answer = visit.client.get(f"/auth/static/{name}")
                assert kind in answer.headers["content-type"]
                assert answer.headers["cache-control"] == kept
                for tag in (answer.headers["etag"], f"W/{answer.headers['etag']}"):
                    again = visit.client.get(f"/auth/static/{name}", headers={"if-none-match": tag})
                    assert (again.status_code, again.content) == (304, b"")
                    assert kind in again.headers.get("content-type", kind)

    def test_type_of_a_static_file_is_the_same_on_each_machine(
        self, framework: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # As programs on Windows change the registry that mimetypes reads.
        mimetypes.init()
        monkeypatch.setitem(mimetypes.types_map, ".js", "text/plain")
        monkeypatch.setitem(mimetypes.types_map, ".ts", "video/mp2t")
        types = {".css": "text/css", ".js": "text/javascript", ".ts": "text/plain"}
        names = [file.name for file in (files("oncegate_web") / "assets").iterdir()]
        with visiting(framework) as (visit, _):
            answers = {name: visit.client.get(f"/auth/static/{name}") for name in names}
        for name, answer in answers.items():
            expected = f"{types[Path(name).suffix]}; charset=utf-8"
            assert answer.headers["content-type"] == expected, name

    def test_other_file_is_not_found(self, framework: str) -> None:
        with visiting(framework) as (visit, _):
            for name in ("none.css", "../web.py", "..%2fweb.py", ""):
                assert visit.client.get(f"/auth/static/{name}").status_code == 404


class TestCrossSite:
    def test_form_without_its_token_calls_nothing(self, framework: str) -> None:
        with visiting(framework) as (visit, transport):
            visit.open()
            form = visit.page.forms["submit-password"]
            for token in ("", "0" * 24, "\u00e9"):
                values = {**form.values, **ANA, "_token": token}
                assert visit.client.post("/auth/", data=values).status_code == 303
            assert transport.calls == []

    def test_form_with_token_of_another_browser_calls_nothing(self, framework: str) -> None:
        transport = ScriptedTransport()
        with client_of(framework, web_for(transport)) as client:
            visit = Visit(client)
            visit.open()
            theirs = visit.page.forms["submit-password"].values["_token"]
            client.cookies.clear()
            visit.open()
            own = visit.page.forms["submit-password"].values
            assert own["_token"] != theirs
            client.post("/auth/", data={**own, **ANA, "_token": theirs})
            assert transport.calls == []

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site", "origin": "http://other.localhost"},
        ],
    )
    def test_cross_site_request_is_refused(self, framework: str, headers: dict[str, str]) -> None:
        with visiting(framework) as (visit, transport):
            visit.open()
            flow = visit.client.post("/auth/flows").json()["flow_id"]
            values = {**visit.page.forms["submit-password"].values, **ANA}
            assert visit.client.post("/auth/", data=values, headers=headers).status_code == 403
            event = {"type": "submit_password", "version": 0, **ANA}
            path = f"/auth/flows/{flow}/events"
            assert visit.client.post(path, json=event, headers=headers).status_code == 403
            assert visit.client.delete("/auth/session", headers=headers).status_code == 403
            assert transport.calls == []

    def test_configured_origin_may_use_the_api(self, framework: str) -> None:
        origin = "http://app.localhost"
        with visiting(framework, a_text(), origins=[origin]) as (visit, _):
            headers = {"origin": origin, "sec-fetch-site": "same-site"}
            asked = {**headers, "access-control-request-method": "POST"}
            answer = visit.client.options("/auth/flows", headers=asked)
            assert answer.status_code == 204
            assert answer.headers["access-control-allow-origin"] == origin
            made = visit.client.post("/auth/flows", headers=headers)
            assert made.headers["access-control-allow-credentials"] == "true"
            event = {"type": "submit_password", "version": 0, **ANA}
            path = f"/auth/flows/{made.json()['flow_id']}/events"
            step = visit.client.post(path, json=event, headers=headers).json()
            assert step["state"] == "awaiting_mfa"
            other = visit.client.options(
                "/auth/flows", headers={**asked, "origin": "http://x.test"}
            )
            assert "access-control-allow-origin" not in other.headers

    def test_event_of_another_content_type_is_refused(self, framework: str) -> None:
        """A form of another origin of the same site can send text, with the cookies."""
        with visiting(framework) as (visit, transport):
            flow = visit.client.post("/auth/flows").json()["flow_id"]
            body = json.dumps({"type": "submit_password", "version": 0, **ANA})
            path = f"/auth/flows/{flow}/events"
            answer = visit.client.post(path, content=body, headers={"content-type": "text/plain"})
            assert answer.status_code == 415
            assert transport.calls == []

    def test_flow_of_another_browser_is_not_found(self, framework: str) -> None:
        with visiting(framework, a_text()) as (visit, transport):
            flow = visit.client.post("/auth/flows").json()["flow_id"]
            assert flow not in str(visit.client.cookies[flow_cookie(visit.client)])
            visit.client.cookies.clear()
            event = {"type": "submit_password", "version": 0, **ANA}
            for cookies in ({}, {"oncegate_flow": flow}):
                visit.client.cookies.update(cookies)
                assert visit.client.get(f"/auth/flows/{flow}").status_code == 404
                path = f"/auth/flows/{flow}/events"
                assert visit.client.post(path, json=event).status_code == 404
            assert transport.calls == []


class TestRedirects:
    def test_protected_page_is_returned_to_after_sign_in(self, framework: str) -> None:
        with visiting(framework, a_text(), the_tokens()) as (visit, _):
            answer = visit.client.get("/orders?year=2026")
            assert answer.status_code == 303
            visit.at = answer.headers["location"]
            assert visit.at == "/auth/?next=/orders%3Fyear%3D2026"
            visit.open()
            visit.say("submit_password", **ANA)
            form = visit.page.forms["submit-code"]
            origin = {"origin": "http://shop.localhost"}
            answer = visit.client.post(form.action, data={**form.values, **CODE}, headers=origin)
            assert answer.headers["location"] == "/orders?year=2026"
            assert visit.client.get("/orders").status_code == 200

    def test_protected_page_answers_401_to_a_program(self, framework: str) -> None:
        with visiting(framework) as (visit, _):
            answer = visit.client.get("/orders", headers={"accept": "application/json"})
            assert answer.status_code == 401
            assert answer.headers["content-type"].startswith("application/problem+json")
            assert answer.json()["code"] == "not_signed_in"
            assert visit.client.get("/auth/session").status_code == 401

    def test_next_on_another_site_is_ignored(self, framework: str) -> None:
        with visiting(framework, a_text(), the_tokens()) as (visit, _):
            visit.at = "/auth/?next=https://evil.example/"
            visit.open()
            visit.say("submit_password", **ANA)
            assert "evil" not in visit.shown()
            form = visit.page.forms["submit-code"]
            origin = {"origin": "http://shop.localhost"}
            answer = visit.client.post(form.action, data={**form.values, **CODE}, headers=origin)
            assert answer.headers["location"] == "/"

    def test_second_tab_shows_the_same_step(self, framework: str) -> None:
        with visiting(framework, a_text(), the_tokens()) as (visit, transport):
            visit.open()
            other = Visit(visit.client)
            other.open()
            visit.say("submit_password", **ANA)
            assert other.open() == "awaiting_mfa"
            assert other.say("submit_code", **CODE) == "authenticated"
            # The first tab still shows the code page, and its form is submitted.
            assert visit.say("submit_code", **CODE) == "authenticated"
            assert len(transport.calls) == 2

    def test_form_of_an_earlier_page_sends_nothing(self, framework: str) -> None:
        """A user goes back and submits the password once more: the current step is shown."""
        with visiting(framework, a_text(), the_tokens()) as (visit, transport):
            visit.open()
            first = visit.page
            visit.say("submit_password", **ANA)
            visit.page = first
            assert visit.say("submit_password", **ANA) == "awaiting_mfa"
            assert len(transport.calls) == 1
            assert visit.say("submit_code", **CODE) == "authenticated"
            visit.page = first
            assert visit.say("submit_password", **ANA) == "authenticated"
            assert len(transport.calls) == 2

    def test_cancel_leads_to_a_new_sign_in_without_a_word(self, framework: str) -> None:
        with visiting(framework, a_text()) as (visit, transport):
            visit.open()
            first = visit.shown()
            visit.say("submit_password", **ANA)
            for answer in (visit.say("cancel"), visit.say_again(), visit.open()):
                assert answer == "idle"
                assert "og-note" not in visit.shown()
                assert _without_values(visit.shown()) == _without_values(first)
            assert len(transport.calls) == 1

    def test_start_after_a_failure_begins_new_flow(self, framework: str) -> None:
        unknown = UnknownChallenge.model_validate(
            {"session": "s", "username": "ana", "name": "TELEPATHY"}
        )
        with visiting(framework, ChallengeIssued(challenge=unknown)) as (visit, _):
            visit.open()
            assert visit.say("submit_password", **ANA) == "failed"
            assert visit.open() == "failed"
            assert visit.say("start") == "idle"

    def test_expired_flow_begins_anew_with_a_message(self, framework: str) -> None:
        clock = ManualClock()
        with visiting(framework, a_text(), clock=clock) as (visit, transport):
            visit.open()
            visit.say("submit_password", **ANA)
            clock.advance(4000)
            assert visit.say("submit_code", **CODE) == "idle"
            assert "timed out" in visit.page.text
            assert visit.open() == "idle"
            assert "timed out" not in visit.page.text
            assert len(transport.calls) == 1


class TestViews:
    @pytest.mark.parametrize("size", [10, 30_000, 300_000])
    def test_body_posted_to_a_view_is_left_to_it(self, framework: str, size: int) -> None:
        """Finding the user takes the cookies only."""
        with visiting(framework, a_text(), the_tokens()) as (visit, _):
            signed_in(visit)
            file = {"file": ("a.bin", b"x" * size)}
            answer = visit.client.post("/upload", files=file)
            assert answer.status_code == 200, answer.text
            assert answer.json()["bytes"] > size


class TestErrors:
    def test_multipart_form_without_token_calls_nothing(self, framework: str) -> None:
        with visiting(framework) as (visit, transport):
            visit.open()
            flow = visit.client.post("/auth/flows").json()["flow_id"]
            values = visit.page.forms["submit-password"].values
            for fields in ({"a": "b"}, {**values, "_token": "wrong"}):
                parts = {name: (None, value) for name, value in fields.items()}
                for path in ("/auth/", "/auth/sign-out", f"/auth/flows/{flow}/events"):
                    answer = visit.client.post(path, files=parts)
                    assert answer.status_code in {303, 400, 403, 415}, (path, answer.status_code)
            assert transport.calls == []

    def test_malformed_code_changes_nothing(self, framework: str) -> None:
        with visiting(framework, a_text(), the_tokens()) as (visit, transport):
            visit.open()
            visit.say("submit_password", **ANA)
            for wrong in ("12", "abcdef", "x" * 5000, "\x00"):
                assert visit.say("submit_code", code=wrong) == "awaiting_mfa"
                assert TEXTS["notice.code_invalid"] in visit.page.text
                assert f'value="{wrong}' not in visit.shown()
            assert visit.open() == "awaiting_mfa"
            assert len(transport.calls) == 1
            assert visit.say("submit_code", **CODE) == "authenticated"

    @pytest.mark.parametrize("version", ["", "x", "-1", "9" * 30])
    def test_form_without_version_calls_nothing(self, framework: str, version: str) -> None:
        with visiting(framework) as (visit, transport):
            visit.open()
            assert visit.say("submit_password", **ANA, _version=version) == "idle"
            assert transport.calls == []

    def test_unknown_notice_is_not_shown(self, framework: str) -> None:
        with visiting(framework) as (visit, _):
            visit.at = "/auth/?notice=<b>Call+0900</b>"
            visit.open()
            assert "0900" not in visit.shown()

    def test_unknown_path_or_method_is_refused(self, framework: str) -> None:
        with visiting(framework) as (visit, _):
            assert visit.client.get("/auth/nothing").status_code == 404
            answer = visit.client.put("/auth/sign-out")
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
            answer = visit.client.get("/auth/flows")
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")

    def test_large_body_is_refused(self, framework: str) -> None:
        with visiting(framework) as (visit, transport):
            visit.open()
            values = {**visit.page.forms["submit-password"].values, "username": "x" * 70_000}
            answer = visit.client.post("/auth/", data=values)
            assert answer.status_code == 413
            flow = visit.client.post("/auth/flows").json()["flow_id"]
            path = f"/auth/flows/{flow}/events"
            assert visit.client.post(path, json={"type": "x" * 70_000}).status_code == 413
            assert transport.calls == []

    @pytest.mark.parametrize(
        "body",
        [
            b"[]",
            b"{",
            b"\xff",
            b'{"type": "x", "version": 0}',
            b'{"type": "cancel"}',
            b'{"type": "cancel", "version": null}',
            b'{"type": "cancel", "version": -1}',
            b'{"type": "cancel", "version": true}',
            b'{"type": "cancel", "version": "0"}',
        ],
    )
    def test_malformed_event_is_unprocessable(self, framework: str, body: bytes) -> None:
        with visiting(framework) as (visit, _):
            flow = visit.client.post("/auth/flows").json()["flow_id"]
            headers = {"content-type": "application/json"}
            path = f"/auth/flows/{flow}/events"
            answer = visit.client.post(path, content=body, headers=headers)
            assert answer.status_code == 422
            assert answer.json()["status"] == 422
            assert answer.json()["code"] == "invalid_event"

    def test_store_that_is_down_answers_503(self, framework: str) -> None:
        class Down(MemoryStore):
            is_down = False

            def load(self, key: str) -> Any:
                if self.is_down:
                    raise StoreUnavailable("down")
                return super().load(key)

        store = Down()
        with visiting(framework, a_text(), store=store) as (visit, transport):
            visit.open()
            visit.say("submit_password", **ANA)
            store.is_down = True
            visit.open()
            assert visit.response is not None
            assert visit.response.status_code == 503
            assert "retry-after" in visit.response.headers
            assert visit.client.get("/auth/flows/current").status_code == 503
            store.is_down = False
            assert visit.open() == "awaiting_mfa"
            assert len(transport.calls) == 1

    def test_rate_limit_answers_429_and_redirects_a_form(self, framework: str) -> None:
        seen: list[str] = []

        def limit(request: Any) -> bool:
            seen.append(request.client or "")
            return len(seen) < 3

        with visiting(framework, OutcomeUnknown(), a_text(), rate_limit=limit) as (visit, _):
            visit.open()
            for _ in range(2):
                visit.say("submit_password", **ANA)
            form = visit.page.forms["submit-code"]
            answer = visit.post(form.action, {**form.values, **CODE})
            assert answer.status_code == 303
            assert "Too many tries" in visit.client.get(answer.headers["location"]).text
            answer = visit.client.post("/auth/flows")
            assert answer.status_code == 429
            assert "retry-after" in answer.headers
            assert len(set(seen)) == 1


class TestLanguages:
    def test_german_browser_gets_german_texts(self, framework: str) -> None:
        with visiting(framework, a_text()) as (visit, _):
            visit.client.headers["accept-language"] = "fr;q=0.9, de-AT;q=0.8, en;q=0.1"
            visit.open()
            assert 'lang="de"' in visit.shown()
            assert "Anmelden" in visit.page.text
            visit.say("submit_password", **ANA)
            assert "per SMS an +*******1234" in visit.page.text
            step = visit.client.get("/auth/flows/current").json()
            assert step["fields"][0]["label"] == "Code"


class TestBehindAProxy:
    def test_links_have_the_whole_prefix(self, framework: str) -> None:
        web = web_for(ScriptedTransport(a_text(), the_tokens()))
        with client_of(framework, web) as client:
            inner: Any = client._transport
            if framework == "fastapi":
                inner._asgi.root_path = "/shop"
                at = "/shop/auth/"
            else:
                inner.script_name = "/shop"
                at = "/auth/"
            page = client.get(at).text
            assert 'action="/shop/auth/"' in page
            assert 'href="/shop/auth/static/page.css?v=' in page
            refused = client.get("/shop/orders" if framework == "fastapi" else "/orders")
            assert refused.headers["location"].startswith("/shop/auth/?next=/shop/orders")


class TestSessions:
    def _sandbox(self, **pool: Any) -> Sandbox:
        return Sandbox(Seed(pool=PoolSeed(**pool), users=DEMO_SEED.users))

    def _sign_in(self, visit: Visit, sandbox: Sandbox) -> None:
        visit.open()
        if visit.say("submit_password", **ANA) == "awaiting_mfa":
            visit.say("submit_code", code=sandbox.messages()[-1].code)

    def _signs_in_without_code(self, visit: Visit, sandbox: Sandbox) -> None:
        """The user is signed in now, and once more without a second code."""
        assert visit.client.get("/orders").json() == {"user": "ana"}
        visit.say("sign_out")
        self._sign_in(visit, sandbox)
        assert visit.client.get("/orders").json() == {"user": "ana"}
        assert len(sandbox.messages()) == 1

    @pytest.mark.parametrize("kind", ["server", "cookie"])
    def test_sign_out_ends_the_session(self, framework: str, kind: str) -> None:
        with (
            self._sandbox() as sandbox,
            client_of(framework, web_at(sandbox, sessions=kind)) as client,
        ):
            visit = Visit(client)
            self._sign_in(visit, sandbox)
            assert client.get("/orders").json() == {"user": "ana"}
            about = client.get("/auth/session").json()
            assert about["username"] == "ana"
            assert about["claims"]["email"] == "ana@example.com"
            for cookie in (cookie for cookie in client.cookies.jar if "oncegate" in cookie.name):
                assert len(cookie.name) + len(cookie.value or "") < 4096
                assert not re.search(r"eyJ[\w-]+\.", cookie.value or "")  # a JWT has dots
            saved = dict(client.cookies)
            visit.open()
            assert "ana" in visit.page.text
            assert visit.say("sign_out") == "idle"
            assert client.get("/orders").status_code == 303
            assert sandbox.calls()["RevokeToken"] == 1
            client.cookies.update(
                {name: value for name, value in saved.items() if "session" in name}
            )
            assert client.get("/orders").status_code == 303, "a copy of the cookies opens nothing"

    def test_changed_session_cookie_is_rejected(self, framework: str) -> None:
        with (
            self._sandbox() as sandbox,
            client_of(framework, web_at(sandbox, sessions="cookie")) as client,
        ):
            self._sign_in(Visit(client), sandbox)
            saved = dict(client.cookies)
            client.cookies.clear()
            first = saved["oncegate_session.0"]
            changed = first[:100] + ("A" if first[100] != "A" else "B") + first[101:]
            client.cookies.update({**saved, "oncegate_session.0": changed})
            assert client.get("/orders").status_code == 303

    def test_get_of_the_flow_neither_ends_nor_extends_a_session_in_cookies(
        self, framework: str
    ) -> None:
        """The flow lives for an hour; the stored copy of the session expires before."""
        clock = ManualClock()
        fresh = the_tokens().model_copy(
            update={"tokens": the_tokens().tokens.model_copy(update={"expires_in": 1800})}
        )
        web = web_for(ScriptedTransport(a_text(), fresh), sessions="cookie", clock=clock)
        with client_of(framework, web) as client:
            program = Program(client)
            program.open()
            program.say("submit_password", **ANA)
            assert program.say("submit_code", **CODE) == "authenticated"
            for seconds in (300, 600, 600):
                clock.advance(seconds)
                assert client.get("/auth/flows/current").json()["state"] == "authenticated"
                assert client.get("/auth/session").status_code == 200
            clock.advance(301)  # half an hour and a second in total
            assert client.get("/auth/session").status_code == 401

    def test_remembered_device_signs_in_without_code(self, framework: str) -> None:
        with (
            self._sandbox(device_tracking="opt_in") as sandbox,
            client_of(framework, web_at(sandbox)) as client,
        ):
            visit = Visit(client)
            visit.open()
            visit.say("submit_password", **ANA)
            code = sandbox.messages()[-1].code
            assert visit.say("submit_code", code=code) == "offering_device"
            assert visit.say("remember_device", remember="true") == "authenticated"
            self._signs_in_without_code(visit, sandbox)

    def test_second_click_keeps_the_new_device(self, framework: str) -> None:
        """The browser never receives the first response with its cookies."""
        with (
            self._sandbox(device_tracking="always") as sandbox,
            client_of(framework, web_at(sandbox)) as client,
        ):
            visit = Visit(client)
            visit.open()
            visit.say("submit_password", **ANA)
            before = dict(client.cookies)
            visit.say("submit_code", code=sandbox.messages()[-1].code)
            client.cookies.clear()
            for name, value in before.items():
                client.cookies.set(name, value, domain="shop.localhost")
            assert visit.say_again() == "authenticated"
            self._signs_in_without_code(visit, sandbox)


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
        None,
        "/" + "x" * 3000,
        "/a\r\nSet-Cookie: x=y",
    ],
)
def test_target_on_another_site_is_no_local_path(target: str | None) -> None:
    assert local_path(target) is None


def test_target_on_this_site_is_a_local_path() -> None:
    assert local_path("/orders?year=2026#top") == "/orders?year=2026#top"
