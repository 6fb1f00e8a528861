"""The generated tables of the sandbox's guide: rules, operations, faults.

    .venv/bin/python -m tests.quality.tables

writes them; ``tests/sandbox/test_rules.py`` fails if they are out of date.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import oncegate_sandbox.server  # noqa: F401 - imports every module that registers rules
from oncegate_sandbox import DEMO_SEED, SandboxClock
from oncegate_sandbox._cognito import Cognito
from oncegate_sandbox._rules import Rule, rules

FOLDER = Path(__file__).parents[2] / "adapters/oncegate_sandbox"
RULES, GUIDE = FOLDER / "RULES.md", FOLDER / "README.md"
_OPERATIONS = re.compile(r"(?<=<!-- operations -->\n).*?(?=<!-- end -->)", re.DOTALL)

_HEAD = """# Rules of the sandbox

What the sandbox plays, and where it is stated. Rules without a statement are *inferred*: real pools may
differ. `GET /_sandbox/rules` serves the same table. Made by `python -m tests.quality.tables`.

"""

_GROUPS = {
    "Administration of users": r"^Admin|^ListUsers",
    "User pools": (
        r"UserPools?$|UserPoolMfaConfig|UserPoolDomain|CustomAttributes|Resource$"
        r"|IdentityProvider|SessionConfiguration"
    ),
    "App clients": r"UserPoolClient",
    "Groups": r"Group",
    "Sign-up and recovery": r"SignUp|Confirm(ation|Forgot)|ForgotPassword",
    "Sign-in": r"Auth(Challenge)?$|^GetUserAuthFactors|SoftwareToken|MFA",
    "Devices": r"Device",
    "Passkeys": r"WebAuthn",
    "Tokens": r"Token|SignOut|Session",
}


def operations() -> frozenset[str]:
    """Return the names of the operations that the sandbox performs."""
    return Cognito(DEMO_SEED, lambda pool_id: pool_id, SandboxClock()).operations


def table_of_operations() -> str:
    """Return the table of the operations, in groups."""
    rest = sorted(operations())
    lines = ["", "| | operations |", "| --- | --- |"]
    for group, pattern in {**_GROUPS, "The user's own account": ""}.items():
        names = [name for name in rest if re.search(pattern, name)]
        rest = [name for name in rest if name not in names]
        lines.append(f"| {group} | {', '.join(f'`{name}`' for name in names)} |")
    lines += ["", "The other operations of the service model answer UnknownOperationException."]
    return "\n".join([*lines, "", ""])


def table_of_rules() -> str:
    """Return the page of the rules, by the module that plays them."""
    parts = [_HEAD]
    for module, found in groupby(rules(), lambda one: one.module):
        name = module.removeprefix("oncegate_sandbox.").replace(".", "/")
        rows = "\n".join(f"| `{one.id}` | {one.what} | {_source(one)} |" for one in found)
        parts.append(f"## `{name}.py`\n\n| rule | | source |\n| --- | --- | --- |\n{rows}\n\n")
    return "".join(parts).rstrip("\n") + "\n"


def _source(one: Rule) -> str:
    if not one.inferred:
        return one.source
    return f"*inferred*; {one.source}" if one.source else "*inferred*"


def guide() -> str:
    """Return the guide with its table of operations renewed."""
    return _OPERATIONS.sub(lambda _: table_of_operations(), GUIDE.read_text("utf-8"))


if __name__ == "__main__":
    RULES.write_text(table_of_rules(), "utf-8")
    GUIDE.write_text(guide(), "utf-8")
