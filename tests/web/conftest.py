from __future__ import annotations

from typing import Any

import pytest
from tests.web.example_apps import FRAMEWORKS


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> Any:
    return request.param
