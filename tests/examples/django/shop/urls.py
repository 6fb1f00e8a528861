"""URLs of the shop."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from oncegate_web.django.decorators import secure_admin_login
from shop import views
from shop.api import Stock

admin.site.login = secure_admin_login(admin.site.login)

urlpatterns = [
    path("accounts/", include("oncegate_web.django.urls")),
    path("admin/", admin.site.urls),
    path("logout", login_not_required(LogoutView.as_view()), name="logout"),  # also a second click
    path("", views.home, name="home"),
    path("add/<slug:item>", views.add, name="add"),
    path("orders", views.orders),
    path("groups", views.groups),
    path("stock", views.stock),
    path("payment", views.payment),
    path("ready", views.ready),
    path("api/stock", login_not_required(Stock.as_view())),  # answers with 401, not a redirect
    path("api/schema", login_not_required(SpectacularAPIView.as_view())),
]
