from flask import Blueprint, Flask

from oncegate_web.flask import Oncegate

customers = Oncegate()  # settings: ONCEGATE_POOL_ID, …
staff = Oncegate(name="staff")  # settings: STAFF_POOL_ID, …

pages = Blueprint("pages", __name__)


@pages.get("/staff/orders")
@staff.groups_required("clerks")
def orders() -> dict[str, str]:
    return {"clerk": staff.current_user.username}


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.from_prefixed_env()
    customers.init_app(app, url_prefix="/auth")
    staff.init_app(app, url_prefix="/staff/auth")
    app.register_blueprint(pages)
    return app
