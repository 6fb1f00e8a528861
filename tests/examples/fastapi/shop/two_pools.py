"""Customers and staff in two user pools, in one application."""

import os

from fastapi import FastAPI

from oncegate_web.fastapi import OncegateAuth
from oncegate_web.settings import OncegateSettings

customers = OncegateAuth(OncegateSettings().web_sign_in())
staff = OncegateAuth(
    OncegateSettings(
        name="staff", pool_id=os.environ["STAFF_POOL_ID"], client_id=os.environ["STAFF_CLIENT_ID"]
    ).web_sign_in()
)

app = FastAPI()
for auth, prefix in ((customers, "/auth"), (staff, "/staff/auth")):
    auth.install(app)
    app.include_router(auth.router, prefix=prefix)
