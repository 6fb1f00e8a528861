"""The shop's API, for browsers that are signed in and for programs with an access token."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import CharField, Serializer
from rest_framework.views import APIView

from oncegate_web.django.rest_framework import HasGroup


class StockItem(Serializer):
    """An item in stock."""

    seen_by = CharField()


class Stock(APIView):
    """What is in stock, for the staff."""

    permission_classes = (HasGroup("staff"),)
    serializer_class = StockItem

    def get(self, request: Request) -> Response:
        return Response({"seen_by": request.user.get_username()})
