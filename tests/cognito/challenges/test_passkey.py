"""Passkeys."""

from __future__ import annotations

from tests.cognito.conftest import Parse

from oncegate.adapters import PasskeyChallenge


def test_options_are_those_for_the_browser(parse: Parse) -> None:
    got = parse("WEB_AUTHN", {"CREDENTIAL_REQUEST_OPTIONS": '{"challenge": "x"}'})
    assert isinstance(got, PasskeyChallenge)
    assert got.options == '{"challenge": "x"}'
