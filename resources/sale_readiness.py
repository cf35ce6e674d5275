"""The readiness list, in words."""

import math
from datetime import datetime
from typing import Any

from flask import Flask

from core.catalogue.pricing import shown
from core.db.clock import iso
from core.ops import sale_readiness
from core.ops.latest_audit import LatestAudit
from core.ops.sale_readiness import Entry
from core.refusals import Busy, Refusal, Unavailable
from core.services import Services
from resources import readiness_texts as texts

# Before a sale, an audit that is not older is fresh enough; one that takes longer is left to `/audit`.
_AUDIT_AGE_SECONDS = 60.0
_AUDIT_SECONDS = 10
_PATHS = ("/", "/shop/{}", "/goods/{}", "/seckill/{}", "/readyz")
_NO_ANSWER = 599


def readiness_json(app: Flask, services: Services, goods_id: int, language: str) -> dict[str, Any]:
    """The list for an item. Raises Refusal goods_not_found, Busy or Unavailable."""
    at, begun, entries = sale_readiness.examine(services.database, services.settings, goods_id, services.host)
    entries.append(sale_readiness.answers(_answers(app, goods_id)))
    entries.append(sale_readiness.audited(_audit(services, begun)))
    return as_json(goods_id, at, entries, language)


def as_json(goods_id: int, at: datetime, entries: list[Entry], language: str) -> dict[str, Any]:
    """The list as the contract shows it."""
    return {
        "goods_id": goods_id,
        "at": iso(at),
        "state": sale_readiness.worst(entries),
        "entries": [_entry_json(entry, language) for entry in entries],
    }


def _entry_json(entry: Entry, language: str) -> dict[str, str]:
    text = texts.FINDINGS[entry.finding]
    values = dict(entry.values)
    if entry.id == "window":
        values["wait"] = texts.wait(max(0, values["seconds"]), language)
    if entry.id == "price":
        values["amount"] = shown(values["price"], values["currency"])
        values["list_amount"] = "" if values["list_price"] is None else shown(values["list_price"], values["currency"])
    return {
        "id": entry.id,
        "state": entry.state,
        "title": texts.TITLES[entry.id].in_language(language),
        "found": text.found.in_language(language).format(**values),
        "mend": text.mend.in_language(language),
    }


def _audit(services: Services, begun: bool) -> LatestAudit | Refusal | None:
    """The newest audit of this host. Only before the sale is one made: it would read all tables beside the buyers."""
    known = services.auditor.latest(math.inf if begun else _AUDIT_AGE_SECONDS)
    if known is not None or begun:
        return known
    try:
        services.auditor.run(_AUDIT_SECONDS)
    except (Busy, Unavailable) as refusal:
        return refusal
    return services.auditor.latest(math.inf)


def _answers(app: Flask, goods_id: int) -> dict[str, int]:
    """The status that pages and routes of buyers answer with, requested within this process."""
    client = app.test_client()
    found = {}
    for path in (path.format(goods_id) for path in _PATHS):
        try:
            with client.get(path) as answer:
                found[path] = answer.status_code
        except Exception:
            found[path] = _NO_ANSWER
    return found
