"""Pages of the shop. Django's own ``request.user`` and decorators; nothing else is needed."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render

from oncegate_web.django import acurrent_user, web_sign_in
from oncegate_web.django.decorators import group_required, reauthentication_required


@login_not_required
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/home.html", {"cart": request.session.get("cart", [])})


@login_not_required
def add(request: HttpRequest, item: str) -> HttpResponse:
    request.session["cart"] = [*request.session.get("cart", []), item]
    return redirect("home")


async def orders(request: HttpRequest) -> JsonResponse:
    user = await request.auser()
    return JsonResponse({"user": user.get_username(), "email": user.email})


async def groups(request: HttpRequest) -> JsonResponse:
    cognito = await acurrent_user(request)  # tokens, claims, groups, scopes
    return JsonResponse({"groups": list(cognito.groups) if cognito else []})


@group_required("staff")
def stock(request: HttpRequest) -> HttpResponse:
    return HttpResponse("for the staff")


@reauthentication_required(max_age=300)
def payment(request: HttpRequest) -> HttpResponse:
    return HttpResponse("signed in within five minutes")


@login_not_required
def ready(request: HttpRequest) -> JsonResponse:
    readiness = web_sign_in().check()  # 200, or 503 and the check that failed
    return JsonResponse({"reason": readiness.reason}, status=readiness.status)
