"""The sign-in of the shop. Its settings are in the environment: ONCEGATE_POOL_ID and so on."""

import logging
from typing import Annotated

from fastapi import Security

from oncegate_web import Request, User
from oncegate_web.fastapi import OncegateAuth
from oncegate_web.settings import OncegateSettings


def count(user: User, request: Request) -> None:
    logging.getLogger("shop").info("signed in: %s from %s", user.get_id(), request.client)


web = OncegateSettings().web_sign_in(home="/", on_signed_in=count)
auth = OncegateAuth(web)

current_user = auth.current_user()
CurrentUser = Annotated[User, Security(current_user)]
Visitor = Annotated[User | None, Security(auth.current_user(optional=True))]
Staff = Annotated[User, Security(auth.current_user(groups=["staff"]))]
Writer = Annotated[User, Security(current_user, scopes=["orders/write"])]
JustSignedIn = Annotated[User, Security(auth.current_user(recent=300))]
