"""Custom challenges."""

from __future__ import annotations

from tests.cognito.conftest import Parse

from oncegate.adapters import CustomChallenge


def test_parameters_are_the_lambdas_own(parse: Parse) -> None:
    got = parse("CUSTOM_CHALLENGE", {"USERNAME": "ana", "question": "2 + 2"})
    assert isinstance(got, CustomChallenge)
    assert (got.username, got.parameters) == ("ana", {"question": "2 + 2"})
