"""`CognitoAccount`: which user of Django a user of a pool is."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class CognitoAccount(models.Model):  # type: ignore[misc]
    """A user of a pool, connected with a user of Django.

    Attributes:
        user: the user of Django, who may have several accounts, such as in several pools.
        issuer: user pool ID. It is the last part of the claim ``iss``, whose host changes with the
            pool's IssuerType.
        subject: the claim ``sub``, which never changes.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="cognito_accounts"
    )
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)

    class Meta:  # noqa: D106
        constraints = [  # noqa: RUF012 - as Django has it
            models.UniqueConstraint(
                fields=["issuer", "subject"], name="oncegate_account_is_of_one_user"
            )
        ]
        verbose_name = "Cognito account"

    def __str__(self) -> str:
        return f"{self.subject} in {self.issuer}"
