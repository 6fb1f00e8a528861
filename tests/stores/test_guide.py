"""What the guide of the stores says about their rows: lifetimes are the defaults, a deleted file is as told."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Literal

import pytest
from tests.guides import ROOT
from tests.web.example_apps import KEY, fastapi_app
from tests.web.starlette_client import TestClient

from oncegate import CodeBudget, SignIn
from oncegate._passkey_names import NAMES_SECONDS
from oncegate.account import OFFER_EVERY
from oncegate.budget import ALIAS_SECONDS, LATEST_ADDRESS_SECONDS, GuessLimit
from oncegate.challenges.address import AddressVerification
from oncegate.testing import ScriptedTransport
from oncegate_stores import SQLiteStore
from oncegate_web import WebSignIn
from oncegate_web._browser_vault import PENDING_SECONDS
from oncegate_web._sessions import IDLE_LIFETIME, LIFETIME
from oncegate_web.testing import session_cookies

GUIDE = (ROOT / "adapters/oncegate_stores/README.md").read_text("utf-8")
FLOW = inspect.signature(SignIn).parameters["lifetime"].default
CODE = AddressVerification.model_fields["valid_for"].default
UNITS = {"min": 60, "h": 3600, "days": 86400, "years": 365 * 86400}
ROWS = {
    "flow of a sign-in": [FLOW],
    "flow of a change": [FLOW, CODE],
    "session;": [LIFETIME, IDLE_LIFETIME],
    "codes sent": [CodeBudget().window],
    "wrong codes": [GuessLimit().forgotten_after],
    "which user": [ALIAS_SECONDS],
    "which address": [LATEST_ADDRESS_SECONDS],
    "when a user was offered": [OFFER_EVERY],
    "names that users": [NAMES_SECONDS],
    "cookie of a new device": [PENDING_SECONDS],
}


@pytest.mark.parametrize("row", ROWS)
def test_lifetime_in_the_guide_is_the_default(row: str) -> None:
    (expires,) = re.findall(rf"^\| {row}[^|]*\| ([^|]+) \|", GUIDE, re.MULTILINE)
    written = [
        float(number) * UNITS[unit]
        for number, unit in re.findall(r"(\d+) (min|h|days|years)", expires)
    ]
    assert written == ROWS[row]


@pytest.mark.parametrize("sessions", ["server", "cookie"])
def test_deleted_file_signs_users_out(
    tmp_path: Path, sessions: Literal["server", "cookie"]
) -> None:
    path = tmp_path / "flows.db"
    web = WebSignIn(
        transport=ScriptedTransport(), store=SQLiteStore(path), keys=KEY, sessions=sessions
    )
    with TestClient(fastapi_app(web), base_url="http://localhost") as client:
        client.cookies.update(session_cookies(web, "ana", is_secure=False))
        assert client.get("/orders").json() == {"user": "ana"}
        files = sorted(tmp_path.iterdir())
        assert [file.name for file in files] == ["flows.db", "flows.db-shm", "flows.db-wal"]
        for file in files:
            file.unlink()
        assert client.get("/orders").status_code == 401
