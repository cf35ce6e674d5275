"""The application: wired here, and the whole route table in one place."""

from cli import loading  # ahead of what takes time to load

# isort: split
from typing import TYPE_CHECKING

from flask import Flask

import config
from cli import commands
from core.db.database import engine_options
from core.ops.host_memory import HostMemory
from core.services import Services
from models import db
from resources import docs, problem_pages
from resources.audit import Audit
from resources.coupons import CouponItem, CouponList
from resources.events import EventList
from resources.fast_path import FastPath
from resources.goods import GoodsChanges, GoodsItem, GoodsList, GoodsPause, GoodsResume, GoodsStart
from resources.http import body, connections, context, cors, errors, limits, paths
from resources.http.answers import ProblemApi
from resources.http.context import EXTENSION
from resources.http.envelope import Envelope
from resources.http.pipeline import Pipeline
from resources.live import Live
from resources.ops import Alive, Metrics, Ready
from resources.order_export import OrderExport
from resources.orders import OrderCancel, OrderItem, OrderList, OrderPay, OrderRefund
from resources.payments import PaymentList, PaymentResolve, PaymentWebhook
from resources.sales import SaleReady, SaleReport
from resources.seckill import Seckill, SeckillQuote
from resources.shipping import ShippingMethodItem, ShippingMethodList
from resources.webhooks import WebhookDeliveries, WebhookDeliveryRetry, WebhookItem, WebhookList, WebhookSecret
from web import assets
from web.console import pages as console
from web.storefront import shop

if TYPE_CHECKING:
    from core.tracing.tracer import Tracer

loading.done()

ROUTES = {
    "/goods": GoodsList,
    "/goods/<goods_id>": GoodsItem,
    "/goods/<goods_id>/pause": GoodsPause,
    "/goods/<goods_id>/resume": GoodsResume,
    "/goods/<goods_id>/changes": GoodsChanges,
    "/goods/<goods_id>/start": GoodsStart,
    "/goods/<goods_id>/readiness": SaleReady,
    "/goods/<goods_id>/report": SaleReport,
    "/seckill/<goods_id>": Seckill,
    "/seckill/<goods_id>/quote": SeckillQuote,
    "/coupons": CouponList,
    "/coupons/<code>": CouponItem,
    "/shipping-methods": ShippingMethodList,
    "/shipping-methods/<code>": ShippingMethodItem,
    "/orders": OrderList,
    "/orders/export": OrderExport,
    "/orders/<order_no>": OrderItem,
    "/orders/<order_no>/cancel": OrderCancel,
    "/orders/<order_no>/pay": OrderPay,
    "/orders/<order_no>/refund": OrderRefund,
    "/payments": PaymentList,
    "/payments/webhook": PaymentWebhook,
    "/payments/<payment_id>/resolve": PaymentResolve,
    "/events": EventList,
    "/webhooks": WebhookList,
    "/webhooks/<webhook_id>": WebhookItem,
    "/webhooks/<webhook_id>/secret": WebhookSecret,
    "/webhooks/<webhook_id>/deliveries": WebhookDeliveries,
    "/webhooks/<webhook_id>/deliveries/<delivery_id>/retry": WebhookDeliveryRetry,
    "/live": Live,
    "/audit": Audit,
    "/healthz": Alive,
    "/readyz": Ready,
    "/metrics": Metrics,
}


def create_app(
    settings: config.Settings | None = None,
    host: HostMemory | None = None,
    threads: int | None = None,
    tracer: "Tracer | None" = None,
) -> Flask:
    """The WSGI application for `settings`, by default those of the environment.

    `host` is what the workers of a host share; without it each speaks for itself.
    `threads` answer what waits, where their number is known. `tracer` traces requests. Opens no connection. Raises
    config.InvalidSettings.
    """
    settings = settings or config.load()
    app = Flask(__name__, static_folder=None)
    app.config.from_mapping(
        settings.model_dump(), SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings), MAX_CONTENT_LENGTH=body.READ_AT_MOST
    )
    db.init_app(app)
    with app.app_context():
        services = app.extensions[EXTENSION] = Services.open(settings, db.engine, host, threads, tracer)

    callers = limits.of(settings, services.tokens)
    context.register(app)
    connections.register(app)
    errors.register(app)
    limits.register(app, callers, services)
    paths.register(app)
    api = ProblemApi(app)
    for route, resource in ROUTES.items():
        api.add_resource(resource, route, endpoint=resource.__name__)
    if "storefront" in settings.PAGES:
        shop.register(app, services)
    if "console" in settings.PAGES:
        console.register(app)
    if "docs" in settings.PAGES:
        docs.register(app)
    problem_pages.register(app, docs="docs" in settings.PAGES)
    assets.register(app)
    commands.register(app)
    headers, seconds = cors.headers_for(app, settings.CORS_ORIGINS), settings.PURCHASE_WAIT_SECONDS
    if tracer is None:
        pipeline = Pipeline(app.wsgi_app, FastPath(services, callers), Envelope(headers), seconds)
    else:
        from resources.http import tracing  # which loads OpenTelemetry

        pipeline = tracing.pipeline(tracer, app.wsgi_app, services, callers, headers, seconds)
    app.wsgi_app = pipeline  # type: ignore[method-assign]
    return app
