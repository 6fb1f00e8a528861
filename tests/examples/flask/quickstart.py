from flask import Flask

from oncegate_web.flask import Oncegate, current_user, login_required

oncegate = Oncegate()


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.from_prefixed_env()  # FLASK_SECRET_KEY, FLASK_ONCEGATE_POOL_ID, …
    oncegate.init_app(app, url_prefix="/auth")

    @app.get("/orders")
    @login_required
    def orders() -> dict[str, str]:
        return {"user": current_user.username}

    return app
