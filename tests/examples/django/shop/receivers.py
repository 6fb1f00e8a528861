"""What the shop does when a user signs in. Connected by ``ShopConfig.ready``."""

import logging
from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver

from oncegate_web.django.signals import code_sent

log = logging.getLogger("shop")


@receiver(user_logged_in)
def count_sign_in(user: Any, **_: Any) -> None:
    log.info("signed in: %s", user.pk)


@receiver(code_sent)
def count_code(medium: str, **_: Any) -> None:
    log.info("code sent by %s", medium)
