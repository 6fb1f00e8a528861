"""The orders of the shop: for users, for the staff, and for programs with a scope."""

from fastapi import APIRouter, Request, WebSocket
from pydantic import BaseModel

from .signin import CurrentUser, JustSignedIn, Staff, Visitor, Writer, auth

router = APIRouter(prefix="/orders", tags=["orders"], responses=auth.responses)


class Order(BaseModel):
    id: int
    user: str


ORDERS = [Order(id=1, user="ana"), Order(id=2, user="bob")]


@router.get("/mine")
async def mine(user: CurrentUser) -> list[Order]:
    return [order for order in ORDERS if order.user == user.username]


@router.get("/all")
def everything(user: Staff) -> list[Order]:
    return ORDERS


@router.delete("/{order_id}", status_code=204)
async def drop(order_id: int, user: Writer) -> None:
    ORDERS[:] = [order for order in ORDERS if order.id != order_id]


@router.post("/address")
def change_address(user: JustSignedIn) -> dict[str, str]:
    return {"changed by": user.display_name}


@router.post("/basket/{item}")
async def put(item: str, request: Request, user: CurrentUser) -> list[str]:
    basket = request.session.get("basket", {})
    if basket.get("of") != user.sub:  # of another user of this browser
        basket = {"of": user.sub, "items": []}
    request.session["basket"] = {**basket, "items": [*basket["items"], item]}
    items: list[str] = request.session["basket"]["items"]
    return items


@router.get("/greeting")
async def greeting(user: Visitor) -> str:
    return f"Hello {user.display_name}" if user else "Hello"


@router.websocket("/live")
async def live(socket: WebSocket, user: CurrentUser) -> None:
    await socket.accept()
    await socket.send_json({"orders of": user.username})
    await socket.close()
