"""The pages."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask_login import current_user, login_required, logout_user
from werkzeug import Response

from oncegate_web.flask import auth_required, fresh_login_required, groups_required, scopes_required

from .extensions import csrf, oncegate

blueprint = Blueprint("shop", __name__)


@blueprint.get("/")
def home() -> str:
    """The first page, without a sign-in."""
    return render_template("home.html")


@blueprint.get("/orders")
@login_required
def orders() -> str:
    """Flask-Login's decorator: users who are not signed in do so, and return here."""
    return render_template("orders.html", orders=[f"Shoes for {current_user.name}"])


@blueprint.get("/staff")
@groups_required("staff", "admins")
def staff() -> str:
    """For users in one of these groups of the pool; others get a page that says so (403)."""
    return render_template("orders.html", orders=["All orders"])


@blueprint.get("/card")
@fresh_login_required(300)
def card() -> str:
    """Users who typed a password or a code more than five minutes ago do so once more."""
    return render_template("orders.html", orders=["Your card"])


@blueprint.post("/bye")
@login_required
def bye() -> Response:
    """The shop's own sign-out: Flask-Login's function ends the session at Cognito, too."""
    logout_user()
    return redirect(url_for("shop.home"))


@blueprint.route("/api/orders", methods=["GET", "POST"])
@csrf.exempt
@auth_required("session", "token")
def api_orders() -> dict[str, str]:
    """For scripts of the shop's pages (session), and for programs (access token)."""
    return {"for": current_user.name, "did": request.method}


@blueprint.post("/api/prices")
@csrf.exempt
@auth_required("token")
@scopes_required("shop/prices.write")
def api_prices() -> dict[str, str]:
    """For programs only, whose access token has this scope."""
    return {"did": "change the prices"}


@blueprint.get("/ready")
def ready() -> tuple[str, int]:
    readiness = oncegate.web.check()  # 200, or 503 and the check that failed
    return readiness.reason, readiness.status
