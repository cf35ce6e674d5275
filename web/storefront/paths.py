"""Ids and order numbers in addresses of the pages, checked before they become part of a path of the API."""

import re

from core import refusals
from core.refusals import Refusal

_GOODS_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_ORDER_NO = re.compile(r"[0-9a-f]{32}", re.ASCII)


def checked_goods_id(text: str) -> str:
    """The id as it is. Raises Refusal goods_not_found for text that is none."""
    if not _GOODS_ID.fullmatch(text):
        raise Refusal(refusals.GOODS_NOT_FOUND)
    return text


def checked_order_no(text: str) -> str:
    """The order number as it is. Raises Refusal order_not_found for text that is none.

    Without this check `export` or `../goods` would lead to other paths of the API.
    """
    if not _ORDER_NO.fullmatch(text):
        raise Refusal(refusals.ORDER_NOT_FOUND)
    return text
