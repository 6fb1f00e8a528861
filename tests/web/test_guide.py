"""The blocks of adapters/oncegate_web/README.md, as they stand there."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from tests.doubles import a_text, the_tokens
from tests.guides import block
from tests.web.example_apps import KEY, client_of, web_at, web_for
from tests.web.pages import Visit
from tests.web.servers import serving
from tests.web.test_ways_in import AT_PROVIDER, GOOGLE, NEW_ACCOUNT, SIGN_UP

import oncegate_web
from oncegate.adapters import EVENT_TYPES, TEXTS
from oncegate.challenges import ACCOUNT_EVENT_TYPES
from oncegate.machine.account_effects import _ADDED, _DONE
from oncegate.testing import ScriptedTransport
from oncegate_sandbox import PoolSeed, Sandbox, Seed
from oncegate_sandbox.seed import DEMO_SEED
from oncegate_web import JinjaRenderer
from oncegate_web.settings import Settings
from oncegate_web.testing import session_cookies, sign_in

STATIC = Path(oncegate_web.__file__).with_name("assets")


def of_guide(test: str) -> str:
    return block("adapters/oncegate_web/README.md", f"tests/web/test_guide.py::{test}")


def _templates(folder: Path, text: str) -> JinjaRenderer:
    page = folder / "oncegate" / "page.html"
    page.parent.mkdir()
    page.write_text(text)
    return JinjaRenderer(folder)


def test_settings_of_the_guide_make_a_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"POOL_ID": "eu-west-1_a", "CLIENT_ID": "1example", "STORE": "memory://", "KEYS": KEY}
    for name, value in given.items():
        monkeypatch.setenv(f"ONCEGATE_{name}", value)
    names: dict[str, Any] = {}
    exec(of_guide("test_settings_of_the_guide_make_a_sign_in"), names)
    assert names["web"].name == "oncegate"


def test_form_and_link_of_the_guide_sign_out(framework: str) -> None:
    html = of_guide("test_form_and_link_of_the_guide_sign_out")
    action, link = re.findall(r'(?:action|href)="([^"]+)"', html)
    web = web_for(ScriptedTransport())
    with client_of(framework, web) as client:
        client.cookies.update(session_cookies(web))
        assert Visit(client, link).open() == "authenticated"
        headers = {"origin": "http://shop.localhost"}
        assert client.post(action, headers=headers).headers["location"] == "/bye"
        assert client.get("/auth/session").status_code == 401


def test_style_sheet_of_the_guide_sets_tokens_that_exist() -> None:
    shown = of_guide("test_style_sheet_of_the_guide_sets_tokens_that_exist")
    assert ".oncegate {" in shown
    tokens = re.findall(r"^\s*(--og-[a-z-]+):", shown, re.MULTILINE)
    assert len(tokens) == 4
    ours = (STATIC / "page.css").read_text()
    assert all(f"{token}:" in ours for token in tokens)


def test_template_of_the_guide_replaces_head_and_brand(tmp_path: Path) -> None:
    text = of_guide("test_template_of_the_guide_replaces_head_and_brand")
    web = web_for(ScriptedTransport(), renderer=_templates(tmp_path, text))
    with client_of("flask", web) as client:
        page = client.get("/auth/").text
    assert '<link rel="stylesheet" href="/static/signin.css">' in page
    assert '<img class="og-logo" src="/static/logo.svg" alt="Corner Shop">' in page


def test_terms_of_the_guide_are_sent_as_client_metadata(tmp_path: Path) -> None:
    text = of_guide("test_terms_of_the_guide_are_sent_as_client_metadata")
    transport = ScriptedTransport(AT_PROVIDER)
    transport.ways_in = SIGN_UP
    more: Any = {"renderer": _templates(tmp_path, text), "client_metadata_from_browser": ["terms"]}
    with client_of("flask", web_for(transport, **more)) as client:
        visit = Visit(client, "/auth/?for=sign_up")
        visit.open()
        visit.say("sign_up", terms="2026-11", **NEW_ACCOUNT)
    assert 'name="terms" value="2026-11"' in text
    assert transport.contexts[0].client_metadata == {"terms": "2026-11"}


def test_catalogue_of_the_guide_changes_an_english_text(tmp_path: Path) -> None:
    shown = of_guide("test_catalogue_of_the_guide_changes_an_english_text")
    folder = tmp_path / "en" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (tmp_path / "oncegate.po").write_text(shown)
    with (tmp_path / "oncegate.po").open("rb") as po, (folder / "oncegate.mo").open("wb") as mo:
        write_mo(mo, read_po(po))
    with client_of("flask", web_for(ScriptedTransport(), locales=[tmp_path])) as client:
        visit = Visit(client)
        visit.open()
    assert visit.page.heading == "Sign in to Example Shop" != TEXTS["title.idle"]


# ── the JSON API ──


def test_event_of_the_guide_is_accepted() -> None:
    event = json.loads(of_guide("test_event_of_the_guide_is_accepted"))
    with client_of("flask", web_for(ScriptedTransport(a_text(), the_tokens()))) as client:
        client.post("/auth/flows")
        password = {"type": "submit_password", "username": "ana", "password": "x", "version": 0}
        client.post("/auth/flows/current/events", json=password)
        answer = client.post("/auth/flows/current/events", json=event)
    assert answer.json()["state"] == "authenticated"


def test_context_of_the_guide_is_accepted() -> None:
    event = json.loads(of_guide("test_context_of_the_guide_is_accepted"))
    transport = ScriptedTransport(a_text())
    web = web_for(transport, client_metadata_from_browser=["captcha"])
    with client_of("flask", web) as client:
        client.post("/auth/flows")
        answer = client.post("/auth/flows/current/events", json=event)
    assert answer.json()["state"] == "awaiting_mfa"
    assert transport.contexts[0].client_metadata == event["context"]["client_metadata"]
    assert transport.contexts[0].encoded_data == event["context"]["encoded_data"]


def test_trigger_of_the_guide_refuses_a_sign_in_without_captcha() -> None:
    names: dict[str, Any] = {"captcha_is_valid": lambda value: value == "right"}
    exec(of_guide("test_trigger_of_the_guide_refuses_a_sign_in_without_captcha"), names)

    def trigger(event: dict[str, Any]) -> dict[str, Any]:
        return names["pre_authentication"](event, None)  # type: ignore[no-any-return]

    pool = PoolSeed(triggers={"PreAuthentication": trigger})
    with Sandbox(Seed(pool=pool, users=DEMO_SEED.users)) as sandbox:
        web = web_at(sandbox, client_metadata_from_browser=["captcha"])
        for captcha, texts in (("wrong", 0), ("right", 1)):
            with client_of("flask", web) as client:
                client.post("/auth/flows")
                event = {
                    "type": "submit_password",
                    "username": "ana",
                    "password": "Correct-horse-1",
                    "version": 0,
                    "context": {"client_metadata": {"captcha": captcha}},
                }
                client.post("/auth/flows/current/events", json=event)
            assert len(sandbox.messages()) == texts


# ── the script module, in Node ──

PRELUDE = """
import * as module from "./oncegate.js";
const jar = new Map();
const real = fetch;
globalThis.fetch = async (path, options = {}) => {
  const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
  const headers = { ...options.headers, cookie };
  const response = await real("URL" + path, { ...options, headers });
  for (const set of response.headers.getSetCookie()) {
    const [name, value] = set.split(";")[0].split("=");
    value ? jar.set(name, value) : jar.delete(name);
  }
  return response;
};
const { SignIn } = module;
"""


def _in_node(folder: Path, program: str) -> str:
    """Run a script with our module in Node, and return what it printed."""
    for file in STATIC.glob("*.js"):
        shutil.copy(file, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "program.js").write_text(program)
    done = subprocess.run(
        ["node", "program.js"], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.needs("node")
def test_scripts_of_the_guide_sign_in(tmp_path: Path) -> None:
    """The first example, with the answers of a user."""
    script = of_guide("test_scripts_of_the_guide_sign_in")
    script = re.sub(r"^import .*\n", "", script)
    web = web_for(ScriptedTransport(a_text(), the_tokens()))
    with serving("flask", web) as url:
        printed = _in_node(
            tmp_path,
            PRELUDE.replace("URL", url)
            + 'const username = "ana", password = "Correct-horse-1", code = "123456";\n'
            + script
            + "console.log(step.state);",
        )
    assert printed == "authenticated"


@pytest.mark.needs("node")
def test_script_of_the_guide_takes_the_answer_of_a_provider(tmp_path: Path) -> None:
    transport = ScriptedTransport(AT_PROVIDER, the_tokens())
    transport.ways_in = GOOGLE
    with serving("flask", web_for(transport)) as url:
        printed = _in_node(
            tmp_path,
            PRELUDE.replace("URL", url)
            + """
const signIn = new SignIn("/auth");
await signIn.resume();
let step = await signIn.send({ type: "sign_in_with", provider: "Google" });
const state_ = new URL(step.authorize_url).searchParams.get("state");
globalThis.location = { search: `?state=${state_}&code=c`, pathname: "/callback" };
globalThis.history = { replaceState: (...given) => (location.search = "", console.log(given[2])) };
{
"""
            + of_guide("test_script_of_the_guide_takes_the_answer_of_a_provider")
            + "}\nconsole.log(step.state, location.search);",
        )
    assert printed.split() == ["/callback", "authenticated"]


@pytest.mark.needs("node")
def test_script_of_the_guide_sends_a_context(tmp_path: Path) -> None:
    transport = ScriptedTransport(a_text())
    with serving("flask", web_for(transport, client_metadata_from_browser=["captcha"])) as url:
        _in_node(
            tmp_path,
            PRELUDE.replace("URL", url)
            + """
const [POOL_ID, CLIENT_ID] = ["pool", "client"];
const captchaToken = async () => "the-captcha";
globalThis.window = { AmazonCognitoAdvancedSecurityData: { getData: (...given) => given.join() } };
"""
            + of_guide("test_script_of_the_guide_sends_a_context")
            + """
await signIn.resume();
await signIn.send({ type: "submit_password", username: "ana", password: "Correct-horse-1" });
""",
        )
    (context,) = transport.contexts
    assert context.client_metadata == {"captcha": "the-captcha"}
    assert context.encoded_data == "ana,pool,client"


@pytest.mark.needs("node")
def test_settings_of_development_servers_forward_the_prefix(tmp_path: Path) -> None:
    (tmp_path / "config.js").write_text(
        of_guide("test_settings_of_development_servers_forward_the_prefix")
    )
    printed = _in_node(
        tmp_path, 'import c from "./config.js"; console.log(JSON.stringify(c.server.proxy));'
    )
    assert json.loads(printed)["/auth"] == {"target": "http://localhost:8000"}
    assert json.loads(printed)["/live"]["ws"] is True


def test_proxy_of_angular_forwards_the_prefix() -> None:
    found = json.loads(of_guide("test_proxy_of_angular_forwards_the_prefix"))
    assert found == {"/auth": {"target": "http://localhost:8000"}}


@pytest.mark.needs("node")
def test_rewrites_of_next_forward_the_prefix(tmp_path: Path) -> None:
    (tmp_path / "config.js").write_text(of_guide("test_rewrites_of_next_forward_the_prefix"))
    program = 'import c from "./config.js"; console.log(JSON.stringify(await c.rewrites()));'
    (rule,) = json.loads(_in_node(tmp_path, program))
    assert rule["destination"].endswith(rule["source"])


def test_sign_in_of_the_guide_works_against_the_sandbox(sandbox: Sandbox) -> None:
    sandbox.reset()
    with client_of("fastapi", web_at(sandbox)) as client:
        step = sign_in(client, "ana", "Correct-horse-1", lambda: sandbox.messages()[-1].code)
        assert step["state"] == "authenticated"
        assert client.get("/orders").json() == {"user": "ana"}
        with pytest.raises(AssertionError, match="not signed in: idle"):
            sign_in(client, "ana", "wrong")


def test_guide_lists_every_change_that_applications_are_told_of() -> None:
    guide = STATIC.with_name("README.md").read_text("utf-8")
    (listed,) = re.findall(r"`changed\.change` is one of (.*?)\. ", guide, re.DOTALL)
    named = set(re.findall(r"`(\w+)`", listed))
    assert named == {*_DONE.values(), *_ADDED.values(), "address_changed"}


def test_names_in_the_page_on_moving_exist() -> None:
    page = STATIC.with_name("MOVING.md").read_text("utf-8")
    named = set(re.findall(r"`(oncegate_\w+(?:\.\w+)+)`", page))
    assert len(named) > 8
    for name in named:
        module, _, attribute = name.rpartition(".")
        found = importlib.util.find_spec(module)
        assert found is not None, name
        assert found.origin is not None
        # Those of Django cannot be imported without a project.
        source = Path(found.origin).read_text("utf-8")
        assert re.search(
            rf"\b((class|def) {attribute}\b|{attribute}\b,?$)", source, re.MULTILINE
        ) or (f'"{attribute}"' in source), name
    settings = set(re.findall(r"`ONCEGATE_(\w+)`", page)) | {"POOL_ID", "CLIENT_ID", "STORE"}
    assert settings <= {name.upper() for name in Settings.model_fields}
    events = {event.machine_event for event in (*EVENT_TYPES, *ACCOUNT_EVENT_TYPES)}
    assert set(re.findall(r'type: "(\w+)"', page)) | {"submit_code", "reset_password"} <= events
