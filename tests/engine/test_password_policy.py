"""The password policy: rules that are shown, with patterns that mean what Cognito means."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from tests.doubles import DictStore, ScriptedTransport, a_text, password
from tests.flows import AT_REST, NEW_PASSWORD

from oncegate import AsyncSignIn, FlowState, Misconfigured, PasswordPolicy, SignIn, Step, StepRef
from oncegate.adapters import Field, PasswordRule
from oncegate.step import step_of
from oncegate_sandbox._password_policy import check_new_password
from oncegate_sandbox._settings import PasswordPolicy as SandboxPolicy
from oncegate_sandbox.errors import CognitoError

PASSWORDS = (
    *(
        "",
        "aB3!",
        "abcdefgh",
        "ABCDEFGH",
        "12345678",
        "Abcdefg1",
        "Abcdef1!",
        "Ab1 cdef",
        "äÄ1!äÄ1!",
    ),
    *("Ab1cdefg\n", "Pass wörd 1", "ＡＢ１ｃｄｅｆｇ", "Abc1defg€", "日本語日本語日本語aA1_"),
    *(f"Abcdefg1{chr(number)}z" for number in range(32, 127)),
)


def labels(policy: PasswordPolicy) -> list[str]:
    return [rule.label for rule in policy.rules]


def test_default_is_that_of_a_new_pool() -> None:
    assert labels(PasswordPolicy()) == [
        "At least 8 characters",
        "An upper-case letter",
        "A lower-case letter",
        "A number",
        "A symbol, such as ! or #",
    ]


def test_rules_that_are_not_required_are_left_out() -> None:
    policy = PasswordPolicy(minimum_length=12, require_symbols=False, require_uppercase=False)
    assert labels(policy) == ["At least 12 characters", "A lower-case letter", "A number"]


@pytest.mark.parametrize(
    "settings", [{"minimum_length": 5}, {"minimum_length": 100}, {"minimumLength": 8}]
)
def test_setting_that_cognito_does_not_have_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(settings))):
        PasswordPolicy(**settings)


def one_rule(number: int) -> tuple[PasswordRule, SandboxPolicy]:
    """Return one rule, and the sandbox's policy with no other."""
    required = [number == one for one in range(5)]
    rule = PasswordPolicy().rules[number]
    return rule, SandboxPolicy(
        minimum_length=8 if required[0] else 1,
        requires_uppercase=required[1],
        requires_lowercase=required[2],
        requires_numbers=required[3],
        requires_symbols=required[4],
    )


def accepted_by_the_sandbox(policy: SandboxPolicy, typed: str) -> bool:
    try:
        check_new_password(policy, typed)
    except CognitoError as error:
        if error.code != "InvalidPasswordException":
            raise
        return False
    return True


def without_blank_ends() -> Iterator[str]:
    """Yield the passwords whose ends Cognito accepts: it checks them before its policy."""
    yield from (typed for typed in PASSWORDS if re.fullmatch(r"\S+.*\S+", typed, re.DOTALL))


@pytest.mark.parametrize("number", range(5))
def test_rule_means_what_the_sandbox_means(number: int) -> None:
    rule, policy = one_rule(number)
    found = {typed: bool(re.search(rule.pattern, typed)) for typed in without_blank_ends()}
    assert found == {typed: accepted_by_the_sandbox(policy, typed) for typed in found}
    assert len(set(found.values())) == 2, "a rule that all or no passwords meet tests nothing"


@pytest.mark.needs("node")
@pytest.mark.parametrize("flags", ["", "u", "v"])
def test_pattern_is_the_same_in_javascript_with_every_flag(flags: str) -> None:
    patterns = [rule.pattern for rule in PasswordPolicy().rules]
    program = (
        f"const [patterns, passwords] = {json.dumps([patterns, PASSWORDS])};"
        "console.log(JSON.stringify(patterns.map((one) => passwords.map((typed) =>"
        f" new RegExp(one, {json.dumps(flags)}).test(typed)))));"
    )
    node = shutil.which("node")
    assert node is not None
    done = subprocess.run([node, "--eval", program], check=True, capture_output=True, text=True)
    expected = [[bool(re.search(one, typed)) for typed in PASSWORDS] for one in patterns]
    assert json.loads(done.stdout) == expected


def test_rules_are_on_every_field_for_a_new_password_and_no_other() -> None:
    with_rules = {
        (flow.state.value, field.name)
        for flow in AT_REST.values()
        for action in step_of("A" * 32, flow, password_policy=PasswordPolicy()).actions
        for field in action.fields
        if field.rules
    }
    assert with_rules == {
        ("awaiting_new_password", "new_password"),
        ("awaiting_reset", "new_password"),
    }
    without = step_of("A" * 32, AT_REST[FlowState.AWAITING_NEW_PASSWORD])
    assert without.fields[0].rules == ()


def new_password_field(step: Step) -> Field:
    (field,) = (one for one in step.fields if one.name == "new_password")
    return field


def test_policy_of_the_driver_reaches_each_step() -> None:
    policy = PasswordPolicy(minimum_length=20)
    transport = ScriptedTransport(NEW_PASSWORD, a_text())
    sign_in = SignIn(transport=transport, store=DictStore(), password_policy=policy)
    step = sign_in.send(sign_in.start(), password())
    for shown in (
        step,
        sign_in.get(step.flow_id),
        sign_in.send(StepRef(step.flow_id, 0), password()),
    ):
        assert new_password_field(shown).rules == policy.rules
    data = step.model_dump(mode="json")["fields"][0]["rules"][0]
    assert data == {"label": "At least 20 characters", "pattern": policy.rules[0].pattern}


async def test_policy_of_the_asyncio_driver_reaches_the_step() -> None:
    policy = PasswordPolicy()
    transport = ScriptedTransport(NEW_PASSWORD)
    sign_in = AsyncSignIn(transport=transport, store=DictStore(), password_policy=policy)
    step = await sign_in.send(await sign_in.start(), password())
    assert new_password_field(step).rules == policy.rules


def test_value_that_is_no_policy_is_refused() -> None:
    settings: Any = {"password_policy": {"minimum_length": 8}}
    with pytest.raises(Misconfigured, match="password_policy"):
        SignIn(transport=ScriptedTransport(), store=DictStore(), **settings)
