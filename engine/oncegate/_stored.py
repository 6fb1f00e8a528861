"""`StoredModel`: what is stored, and read by workers of another release.

During a rolling deployment a worker of the release before reads what a worker of the next one wrote.
It keeps the fields that it does not know and writes them back. In a program's own code, an unknown
field is an error as in any other model.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator

FROM_STORE: Final = {"from": "store"}
"""The validation context that lets unknown fields pass. Only code that reads records uses it."""


class StoredModel(BaseModel):
    """A frozen model that keeps unknown fields if it is read from a store, and only then."""

    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="allow", hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _unknown_fields_come_from_a_store(cls, data: Any, info: ValidationInfo) -> Any:
        if isinstance(data, dict) and info.context is not FROM_STORE:
            unknown = data.keys() - cls.model_fields.keys()
            if unknown:
                raise ValueError(f"unknown fields: {', '.join(sorted(map(str, unknown)))}")
        return data
