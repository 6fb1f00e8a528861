"""The types of the script module: compiled, and compared with the models and the OpenAPI document."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import pytest
from tests.web.npm import node_modules, run

import oncegate_web
from oncegate import Event, FlowState
from oncegate.account import AccountEvent, AccountState
from oncegate.adapters import IN_FLIGHT, MESSAGE_CODES
from oncegate.challenges import EVENT_TYPES, Delivery, Factor
from oncegate.challenges._base import EventBase
from oncegate.challenges.code import CodeChallenge
from oncegate.machine.advance import _OFFERED
from oncegate_web._openapi import document

STATIC = Path(oncegate_web.__file__).with_name("assets")
CLIENT = Path(__file__).with_name("client")
MODULES = ("account.js", "client.js", "connection.js", "oncegate.js", "passkey.js")
COMPILERS = ("typescript", "typescript-latest")
OPTIONS = {
    "strict": True,
    "noEmit": True,
    "exactOptionalPropertyTypes": True,
    "noUncheckedIndexedAccess": True,
    "noPropertyAccessFromIndexSignature": True,
    "target": "es2022",
    "module": "esnext",
    "moduleResolution": "bundler",
    "lib": ["es2022", "dom", "dom.iterable"],
    "types": [],
    "paths": {"oncegate": ["./oncegate.d.ts"]},
}

pytestmark = [pytest.mark.needs("node"), pytest.mark.needs("npm")]


@pytest.fixture(scope="module")
def modules() -> Path:
    return node_modules(CLIENT)


def compile_types(
    folder: Path, modules: Path, compiler: str, *files: str, **options: object
) -> None:
    """Compile files of a folder with the types beside them. Mistakes fail with the compiler's output."""
    shutil.copy(STATIC / "oncegate.d.ts", folder)
    contract = (CLIENT / "contract.ts").read_text()
    same = re.search(r"/\*\* Whether two types.*?=> \{\};\n", contract, re.DOTALL)
    assert same is not None
    (folder / "same.ts").write_text(same[0])
    config = {"compilerOptions": OPTIONS | options, "files": list(files)}
    (folder / "tsconfig.json").write_text(json.dumps(config))
    run(
        folder,
        "node",
        str(modules / compiler / "bin" / "tsc"),
        "--project",
        ".",
        "--pretty",
        "false",
    )


@pytest.mark.parametrize("compiler", COMPILERS)
def test_types_compile_in_a_strict_program(compiler: str, modules: Path, tmp_path: Path) -> None:
    shutil.copy(CLIENT / "usage.ts", tmp_path)
    compile_types(tmp_path, modules, compiler, "usage.ts")


def test_module_does_what_its_types_say(modules: Path, tmp_path: Path) -> None:
    """The compiler reads the JavaScript itself, with the types that its comments name."""
    (tmp_path / "module").mkdir()
    for name in MODULES:
        shutil.copy(STATIC / name, tmp_path / "module")
    shutil.copy(CLIENT / "conform.ts", tmp_path)
    as_javascript = {
        "allowJs": True,
        "checkJs": True,
        "noImplicitAny": False,
        "useUnknownInCatchVariables": False,
        "exactOptionalPropertyTypes": False,
        "noUncheckedIndexedAccess": False,
        "noPropertyAccessFromIndexSignature": False,
    }
    compile_types(tmp_path, modules, "typescript-latest", "conform.ts", **as_javascript)


def test_module_has_the_states_of_the_engine() -> None:
    program = (
        f'const [one, two] = await Promise.all([import("{STATIC}/connection.js"), import("{STATIC}/client.js")]);'
        "console.log(JSON.stringify([[...one.IN_FLIGHT], [...two.OFFERS_DEVICE]]));"
    )
    in_flight, offers_device = json.loads(
        run(CLIENT, "node", "--input-type=module", "--eval", program)
    )
    assert set(in_flight) == IN_FLIGHT
    # The device's own states, except the check of a known one, which comes before the session.
    after_session = {state for state in FlowState if state.endswith("_device")}
    assert set(offers_device) == after_session - {FlowState.CHECKING_DEVICE}


@pytest.mark.parametrize("compiler", COMPILERS)
def test_types_and_openapi_document_say_the_same(
    compiler: str, modules: Path, tmp_path: Path
) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(document("/auth", account=True)))
    generator = modules / "openapi-typescript" / "bin" / "cli.js"
    run(
        modules,
        "node",
        str(generator),
        str(schema),
        "--default-non-nullable=false",
        "--output",
        str(tmp_path / "schema.d.ts"),
    )
    shutil.copy(CLIENT / "contract.ts", tmp_path)
    compile_types(tmp_path, modules, compiler, "contract.ts")


def test_types_have_the_literals_of_the_engine(modules: Path, tmp_path: Path) -> None:
    """Codes, factors, media, fields, and for each state the events that the machines can offer."""
    with_answer = {
        kind.machine_event
        for kind in EVENT_TYPES
        if kind.answered_with is not EventBase.answered_with and kind.can_be_repeated
    }
    offered = {
        state: {event for event, _ in _OFFERED[state]}
        & {kind.machine_event for kind in EVENT_TYPES}
        for state in FlowState
        if state is not FlowState.DECIDING
    }
    offered[FlowState.AUTHENTICATED] = with_answer  # if the response was lost
    codes = MESSAGE_CODES
    media = re.findall(r'``"(\w*)"``', (Delivery.__doc__ or "").split("medium:")[1].split("\n")[0])
    choices = {"factor": union(Factor), "remember": union(["true", "false"])}
    changes = {kind.machine_event for kind in get_args(AccountEvent)}
    checks = [
        'import type { AccountAction, AccountStep } from "oncegate";',
        'import type { Action, EventType, Factor, Medium, MessageCode, State, Step, StepOf } from "oncegate";',
        'import { type Same, check } from "./same";',
        f"check<Same<MessageCode, {union(codes)}>>();",
        f"check<Same<Factor, {union(Factor)}>>();",
        f"check<Same<EventType, {union(kind.machine_event for kind in get_args(Event))}>>();",
        f"check<Same<State, {union(offered)}>>();",
        f"check<Same<Medium, {union(media)}>>();",
        f'check<Same<StepOf<"awaiting_mfa">["challenge"], {union(code_factors())}>>();',
        *(
            f'check<Same<StepOf<"{state}">["actions"][number]["event"], {union(events)}>>();'
            for state, events in offered.items()
        ),
        *(
            f'check<Same<Action<"{kind.machine_event}">["fields"][number]["name"], {names_of(kind)}>>();'
            for kind in get_args(Event)
        ),
        *(
            f'check<Same<Action<"{kind.machine_event}">["fields"][number]["choices"][number]["value"],'
            f" {choices[name]}>>();"
            for kind in get_args(Event)
            for name in choices.keys() & kind.model_fields.keys()
        ),
        *(
            f'check<Same<Extract<AccountStep, {{ state: "{state}" }}>["actions"][number]["event"],'
            f" {union(event for event, _ in _OFFERED[state] if event in changes)}>>();"
            for state in AccountState
            if state is not AccountState.SETTLING
        ),
        *(
            f'check<Same<AccountAction<"{kind.machine_event}">["fields"][number]["name"],'
            f" {names_of(kind)}>>();"
            for kind in get_args(AccountEvent)
        ),
        'export type Used = Step["title"];',
    ]
    (tmp_path / "literals.ts").write_text("\n".join(checks))
    compile_types(tmp_path, modules, "typescript-latest", "literals.ts")


NOT_TYPED = {"type", "access_token", "remember_device", "error", "error_description", "factors"}
"""Members of events that no input has."""


def names_of(kind: type[EventBase]) -> str:
    """Return the type of the names of an event's inputs."""
    names = union(kind.model_fields.keys() - NOT_TYPED - {"attributes"})
    return f"{names} | `attributes.${{string}}`" if "attributes" in kind.model_fields else names


def code_factors() -> tuple[Factor, ...]:
    """Return the factors whose codes the user enters."""
    return get_args(CodeChallenge.model_fields["kind"].annotation)


def union(texts: Iterable[str]) -> str:
    """Return a TypeScript union of literals."""
    return " | ".join(f'"{text}"' for text in sorted(texts)) or "never"


def test_every_function_of_the_module_has_types() -> None:
    """What the module exports, it declares, and nothing shadows a name of the DOM."""
    types = (STATIC / "oncegate.d.ts").read_text()
    declared = set(re.findall(r"^export (?:class|function|const) (\w+)", types, re.MULTILINE))
    program = (
        f'import("{STATIC}/oncegate.js").then((m) => console.log(JSON.stringify(Object.keys(m))))'
    )
    exported = json.loads(run(CLIENT, "node", "--input-type=module", "--eval", program))
    assert set(exported) == declared
    names = set(re.findall(r"^export (?:\w+) (\w+)", types, re.MULTILINE))
    names_of_the_dom = {
        "Event",
        "Element",
        "Node",
        "Response",
        "Request",
        "Text",
        "Option",
        "Location",
    }
    assert not names & names_of_the_dom


def test_guide_has_the_recipes_that_the_applications_use() -> None:
    guide = STATIC.with_name("README.md").read_text()
    recipes = re.findall(r"<!-- (tests/browser/clients/\S+) -->\n```ts\n(.*?)```", guide, re.DOTALL)
    assert len(recipes) == 4
    for path, shown in recipes:
        assert shown == (CLIENT.parents[2] / path).read_text(), path
