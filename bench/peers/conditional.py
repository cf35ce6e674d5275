"""The conditional UPDATE: one transaction a buyer, which takes stock only where there is enough of it.

    gunicorn --worker-class gthread --workers 2 --threads 32 'bench.peers.conditional:app()'

Two plain reads come ahead of the UPDATE, so that the row is locked for less time than by the textbook. Durable as the
database is: an order is answered after its COMMIT.
"""

from flask import Flask
from sqlalchemy import select, update

from bench.peers.flask_shop import Refused, Wish, check_limit, create_app, order_for, replay
from bench.peers.tables import Goods, Order, db


def buy(wish: Wish) -> Order:
    earlier = replay(wish)
    if earlier is not None:
        return earlier
    goods = db.session.scalar(select(Goods).filter_by(id=wish.goods_id))
    if goods is None:
        raise Refused(404, "goods_not_found")
    taken = db.session.execute(
        update(Goods)
        .where(Goods.id == wish.goods_id, Goods.stock >= wish.quantity)
        .values(stock=Goods.stock - wish.quantity, sold=Goods.sold + wish.quantity)
        .execution_options(synchronize_session=False)
    )
    if taken.rowcount == 0:
        raise Refused(409, "sold_out")
    check_limit(wish, goods.per_user_limit)
    order = order_for(wish, goods)
    db.session.add(order)
    db.session.commit()
    return order


def app() -> Flask:
    return create_app(buy)
