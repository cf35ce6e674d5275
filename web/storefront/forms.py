"""Forms of the pages, as bodies of the API. What is wrong with them the API says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Request
from werkzeug.exceptions import UnsupportedMediaType

ADDRESS = ("name", "phone", "region", "line1", "line2", "postcode")
_TOTAL = re.compile(r"[0-9]{1,17}", re.ASCII)  # what a page of ours holds: int() refuses very long texts
_PRICED = ("quantity", "coupon_code", "shipping_method", "region")


def read(request: Request) -> Mapping[str, str]:
    """The fields of a form, without NUL characters; of one that is given twice, the first.

    Raises UnsupportedMediaType for a body of others.
    """
    if request.get_data() and request.mimetype != "application/x-www-form-urlencoded":
        raise UnsupportedMediaType
    # HTML cannot hold NUL, and a cached page marks its gaps by it.
    return {name: value.replace("\0", "") for name, value in request.form.to_dict().items()}


@dataclass(frozen=True)
class Purchase:
    """What a visitor filled in, as they typed it."""

    fields: Mapping[str, str] = field(default_factory=dict)

    def typed(self, name: str, default: str = "") -> str:
        return self.fields.get(name, default)

    def body(self, to_buy: bool) -> dict[str, Any]:
        """The body of a purchase, or of a quote. What is left empty is left out."""
        body: dict[str, Any] = {"quantity": _number(self.typed("quantity", "1"))}
        for name in ("coupon_code", "shipping_method"):
            if value := self.typed(name).strip():
                body[name] = value
        address = {name: value for name in ADDRESS if (value := self.typed(name).strip())}
        if to_buy and address:
            body["address"] = address
        elif "region" in address:
            # A quote may come before the address is complete. Of an address it asks for the region alone.
            body["address"] = {"name": "-", "phone": "000", "line1": "-", "postcode": "0", "region": address["region"]}
        expected = self.typed("expected_total")
        if to_buy and self.typed("quoted_for") == self.quoted_for and _TOTAL.fullmatch(expected):
            body["expected_total"] = int(expected)
        return body

    @property
    def quoted_for(self) -> str:
        """What a quote depends on. A total that was shown for something else is not what the visitor expects."""
        return "|".join(self.typed(name).strip() for name in _PRICED)


def _number(text: str) -> int | str:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
