"""What an operator wants to know of one item's sale: is it ready, what became of it."""

from typing import Any

import flask

from core import refusals as codes
from core.catalogue import goods
from core.report import sale_report
from core.tokens import Identity
from resources import report_models, sale_readiness
from resources import sale_readiness_models as readiness_models
from resources.goods import goods_id
from resources.http.auth import Access
from resources.http.context import services
from resources.http.operation import ApiResource, Operation, operation
from resources.http.problems import language_of
from resources.http.reply import Reply, json_reply

_TAG = "Console"


class SaleReady(ApiResource):
    @operation(
        Operation(
            "getSaleReadiness",
            _TAG,
            Access.ADMIN,
            {200: readiness_models.SaleReadiness},
            refusals=(codes.GOODS_NOT_FOUND, codes.UNAVAILABLE),
        )
    )
    def get(self, goods_id_text: str, caller: Identity) -> Reply:
        """Ask whether an item's sale can begin: what was looked at, what was found, and how to mend it."""
        spoken = language_of(flask.request.headers.get("Accept-Language", ""))
        app = flask.current_app._get_current_object()  # type: ignore[attr-defined]
        found = sale_readiness.readiness_json(app, services(), goods_id(goods_id_text), spoken)
        return json_reply(found, 200, {"Content-Language": spoken, "Vary": "Accept-Language"})


class SaleReport(ApiResource):
    @operation(
        Operation(
            "getSaleReport",
            _TAG,
            Access.ADMIN,
            {200: report_models.SaleReport},
            refusals=(codes.GOODS_NOT_FOUND, codes.BUSY, codes.UNAVAILABLE),
        )
    )
    def get(self, goods_id_text: str, caller: Identity) -> dict[str, Any]:
        """Read what became of a sale.

        Orders, units and money are those that are stored; demand, refusals and waits are what the workers counted.
        Audits the whole database for it: at most one report or audit is made at a time on a host, `busy` for others.
        """
        key = goods_id(goods_id_text)
        goods.find(services().database, key)
        with services().auditor.audited() as (audit, deadline):
            return sale_report.make(services().settings, key, audit, deadline.remaining())
