"""The password: proven by SRP, or sent."""

from __future__ import annotations

from tests.cognito.conftest import Check, Parse

from oncegate.adapters import PasswordChallenge, TokensIssued
from oncegate_cognito import CognitoTransport


def test_password_without_second_factor_signs_in(either: CognitoTransport, check: Check) -> None:
    assert isinstance(check(either, "fay", 6), TokensIssued)


def test_wrong_password_and_unknown_user_have_the_same_outcome(
    either: CognitoTransport, check: Check
) -> None:
    assert check(either, "ana", 9) == check(either, "nobody", 1)


def test_challenge_name_decides_how_the_password_is_proven(parse: Parse) -> None:
    for name, by_srp in (("PASSWORD", False), ("PASSWORD_SRP", True)):
        got = parse(name, {})
        assert isinstance(got, PasswordChallenge)
        assert got.srp is by_srp
