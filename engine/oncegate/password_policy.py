"""The pool's policy for new passwords, so that its rules can be shown before Cognito checks them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from pydantic import BaseModel, ConfigDict
from pydantic import Field as ModelField

from oncegate.challenges import PasswordRule
from oncegate.messages import TEXTS

# Valid with every flag of a regular expression in ECMAScript: a browser compiles the pattern of an input
# with `v`. The symbols are all of ASCII's punctuation, and a blank that is neither first nor last (AWS
# developer guide, "Adding user pool password requirements").
_UPPERCASE = "[A-Z]"
_LOWERCASE = "[a-z]"
_NUMBER = "[0-9]"
_SYMBOL = r"[!-\/:-@\[-\x60\{-~]|[^ ] +[^ ]"


class PasswordPolicy(BaseModel):
    """The password policy of the user pool, for users to read before they choose a password.

    It is shown, never enforced: Cognito decides. The names are those of Cognito's PasswordPolicyType,
    and the defaults are those of the console for a new pool.

    Attributes:
        minimum_length: fewest characters, 6 to 99.
        require_uppercase: whether an upper-case letter of ASCII is required.
        require_lowercase: whether a lower-case letter of ASCII is required.
        require_numbers: whether a digit of ASCII is required.
        require_symbols: whether a symbol is required.

    Raises:
        pydantic.ValidationError: a setting is unknown, or Cognito does not allow it.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    minimum_length: int = ModelField(default=8, ge=6, le=99)
    require_uppercase: bool = True
    require_lowercase: bool = True
    require_numbers: bool = True
    require_symbols: bool = True

    @cached_property
    def rules(self) -> tuple[PasswordRule, ...]:
        """The rules, in the order of reading."""
        return tuple(self._rules())

    def _rules(self) -> Iterator[PasswordRule]:
        count = self.minimum_length
        yield _rule("rule.length", rf"[\s\S]{{{count}}}", count=count)
        for is_required, code, pattern in (
            (self.require_uppercase, "rule.uppercase", _UPPERCASE),
            (self.require_lowercase, "rule.lowercase", _LOWERCASE),
            (self.require_numbers, "rule.number", _NUMBER),
            (self.require_symbols, "rule.symbol", _SYMBOL),
        ):
            if is_required:
                yield _rule(code, pattern)


def _rule(code: str, pattern: str, **values: int) -> PasswordRule:
    return PasswordRule(
        label=TEXTS[code].format(**values), label_code=code, pattern=pattern, values=values
    )
