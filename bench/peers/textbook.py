"""The textbook: one ORM transaction a buyer, which locks the item's row by SELECT … FOR UPDATE.

    gunicorn --worker-class gthread --workers 2 --threads 32 'bench.peers.textbook:app()'

Durable as the database is: an order is answered after its COMMIT.
"""

from flask import Flask
from sqlalchemy import select

from bench.peers.flask_shop import Refused, Wish, check_limit, create_app, order_for, replay
from bench.peers.tables import Goods, Order, db


def buy(wish: Wish) -> Order:
    goods = db.session.scalar(select(Goods).filter_by(id=wish.goods_id).with_for_update())
    earlier = replay(wish)
    if earlier is not None:
        return earlier
    if goods is None:
        raise Refused(404, "goods_not_found")
    if goods.stock < wish.quantity:
        raise Refused(409, "sold_out")
    check_limit(wish, goods.per_user_limit)
    order = order_for(wish, goods)
    goods.stock -= wish.quantity
    goods.sold += wish.quantity
    db.session.add(order)
    db.session.commit()
    return order


def app() -> Flask:
    return create_app(buy)
