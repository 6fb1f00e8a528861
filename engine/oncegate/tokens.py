"""The tokens that Cognito issues at the end of a sign-in."""

from __future__ import annotations

from pydantic import Field

from oncegate._stored import StoredModel


class Tokens(StoredModel):
    """Cognito's AuthenticationResult. The repr hides all tokens.

    Attributes:
        expires_in: lifetime of the access token, in seconds.
        device_key: key of the device that they were issued to; refreshing them needs it.
        by_managed_login: whether the pages of managed login issued them. Their own session in the
            browser goes on until it is ended at the pool's logout endpoint.
    """

    access_token: str = Field(min_length=1, repr=False)
    id_token: str | None = Field(default=None, repr=False)
    refresh_token: str | None = Field(default=None, repr=False)
    expires_in: int = 3600
    token_type: str = "Bearer"
    device_key: str | None = None
    by_managed_login: bool = False
