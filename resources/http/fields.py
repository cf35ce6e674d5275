"""The types of single fields: how each is read from JSON or from a query, and how it is documented."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import Annotated, Any

from iso4217 import Currency
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from core.catalogue.addresses import is_known
from core.db.clock import EPOCH
from core.db.paging import MAX_LIMIT
from core.tokens import MAX_USER_ID
from resources.http import shown_text
from resources.http.paging import is_cursor

# Of the error types of our own checks, before the code that `errors[]` has.
CUSTOM_PREFIX = "seckill."
MAX_ID = 2**63 - 1
MAX_AMOUNT = 10**12
MAX_COUNT = 10**9
MAX_TOTAL = 10**16  # of 1,000 units at the highest price, with shipping

# RFC 3339, whose seconds may be left out.
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|z|[+-]\d\d:\d\d)", re.ASCII)
# Codes of metals, funds and tests have no minor unit: nothing can be priced in them.
CURRENCIES = frozenset(currency.code for currency in Currency if currency.exponent is not None)


def failed(code: str) -> PydanticCustomError:
    """A failure with one of our own codes for `errors[]`."""
    return PydanticCustomError(f"{CUSTOM_PREFIX}{code}", "{code}", {"code": code})


class OneOf:
    """Makes a `str` one of the values of an enumeration, or of some of its members: `Annotated[str, OneOf(Kind)]`.

    The value stays a plain `str`. The model's schema lists the values inline, as `Literal` does.
    """

    def __init__(self, members: Iterable[StrEnum]) -> None:
        self._values = [member.value for member in members]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(self._values)


def _time(value: Any) -> datetime:
    if not isinstance(value, str) or not (match := _TIME.fullmatch(value)):
        raise failed("invalid_time")
    day, clock, seconds, fraction, offset = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}:{seconds or '00'}{offset.upper()}").astimezone(timezone.utc)
        moment += timedelta(milliseconds=int((fraction or "0").ljust(3, "0")[:3]))
    except (ValueError, OverflowError):
        raise failed("invalid_time") from None
    if moment < EPOCH:
        raise failed("out_of_range")
    return moment


def not_before_start(value: datetime | None, others: ValidationInfo) -> datetime | None:
    """A validator for `ends_at` behind a `starts_at`."""
    starts_at = others.data.get("starts_at")
    if value is not None and starts_at is not None and value < starts_at:
        raise failed("window_reversed")
    return value


def _one_line(value: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in value):
        raise failed("control_character")
    return value


def _shown_line(value: str) -> str:
    return _shown(_one_line(value))


def _shown_lines(value: str) -> str:
    _one_line(value.replace("\n", "").replace("\r", "").replace("\t", ""))
    return _shown(value, lines=True) if value else value


def _shown(value: str, lines: bool = False) -> str:
    if shown_text.hidden_character(value, lines):
        raise failed("hidden_character")
    if not shown_text.has_visible(value):
        raise failed("blank")
    return value


def _web_address(value: str) -> str:
    if shown_text.hidden_character(value):
        raise failed("hidden_character")
    if value and not re.fullmatch(r"(https?://[^\s/][^\s]*|/([^\s/][^\s]*)?)", value):
        raise failed("invalid_format")
    return value


def _currency(value: str) -> str:
    if value not in CURRENCIES:
        raise failed("unknown_currency")
    return value


def _region(value: str) -> str:
    if not is_known(value):
        raise failed("unknown_region")
    return value


def _cursor(value: str) -> str:
    if not is_cursor(value):
        raise failed("invalid_cursor")
    return value


def _none_if_blank(value: str) -> str | None:
    return value if value.strip() else None


def _shown_line_or_none(value: str) -> str | None:
    # Blanks alone are text without anything to see, as everywhere.
    return _shown_line(value) if value else None


def distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise failed("repeated")
    return values


def _flag(value: Any) -> bool:
    if value not in ("true", "false"):
        raise failed("invalid_value")
    return bool(value == "true")


def digits(value: Any) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"\d{1,19}", value, re.ASCII):
        raise failed("wrong_type")
    return int(value)


Time = Annotated[
    datetime,
    BeforeValidator(_time),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339 with an offset, such as `2026-11-26T20:00:00+08:00`; the seconds may be left out",
            "examples": ["2026-11-23T12:00:00.000Z"],
        }
    ),
]
# Text that is shown to people. Other fields are never shown as they were sent.
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_shown_line)]
Description = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_shown_lines)]
ImageUrl = Annotated[
    str,
    StringConstraints(max_length=2000),
    AfterValidator(_one_line),
    AfterValidator(_web_address),
    Field(examples=["https://shop.example/keyboard.png"]),
]
CurrencyCode = Annotated[
    str,
    AfterValidator(_currency),
    WithJsonSchema({"type": "string", "enum": sorted(CURRENCIES), "description": "ISO 4217", "examples": ["CNY"]}),
]
Amount = Annotated[int, Field(ge=0, le=MAX_AMOUNT, description="in the currency's minor unit")]
Stock = Annotated[int, Field(ge=0, le=MAX_COUNT, description="in units")]
StockDelta = Annotated[int, Field(ge=-MAX_COUNT, le=MAX_COUNT, description="units to add, or to withdraw if negative")]
Limit = Annotated[int, Field(ge=1, le=MAX_COUNT)]
Quantity = Annotated[int, Field(ge=1, le=1000, description="in units")]
SearchText = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_one_line)]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_shown_line)]
Note = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_shown_lines)]
# The codes that administrators may create, and the codes that a purchase may name.
CODE = r"^[A-Za-z0-9_-]{1,64}$"
Code = Annotated[str, StringConstraints(pattern=CODE), Field(examples=["express"])]
_GIVEN_CODE = r"^[!-~]{1,64}$"
_LONGEST_TYPED = 256  # characters, blanks included
GivenCode = Annotated[str, StringConstraints(pattern=_GIVEN_CODE), Field(examples=["express"])]


def as_typed(value: Any) -> Any:
    """A coupon's code from the form in which people type it: full-width letters folded, blanks around it removed."""
    if not isinstance(value, str) or len(value) > _LONGEST_TYPED:
        return value  # for the checks of the type to refuse
    return unicodedata.normalize("NFKC", value).strip()


_HOW_TYPED = WithJsonSchema(
    {
        "type": "string",
        "minLength": 1,
        "maxLength": _LONGEST_TYPED,
        "description": "as people type it: full-width forms are folded (NFKC) and blanks around it are cut off; "
        "1–64 visible ASCII characters are left",
        "examples": ["TENOFF"],
    }
)
# A buyer's, and one that an administrator makes.
TypedCode = Annotated[str, BeforeValidator(as_typed), StringConstraints(pattern=_GIVEN_CODE), _HOW_TYPED]
TypedNewCode = Annotated[str, BeforeValidator(as_typed), StringConstraints(pattern=CODE), _HOW_TYPED]
Region = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$"),
    AfterValidator(_region),
    Field(description="ISO 3166: a country, or one of its subdivisions", examples=["CN-31"]),
]
Percent = Annotated[int, Field(ge=1, le=100)]
Worth = Annotated[int, Field(ge=1, le=MAX_AMOUNT, description="in the currency's minor unit")]
GoodsIds = Annotated[
    list[Annotated[int, Field(ge=1, le=MAX_ID)]],
    Field(min_length=1, max_length=1000, json_schema_extra={"uniqueItems": True}),
    AfterValidator(distinct),
]
Regions = Annotated[
    list[Region],
    Field(
        min_length=1,
        max_length=300,
        description="ISO 3166 codes; a country's serves all of its subdivisions",
        json_schema_extra={"uniqueItems": True},
    ),
    AfterValidator(distinct),
]
PersonName = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_shown_line)]
Phone = Annotated[
    str,
    StringConstraints(pattern=r"^[+(). -]*[0-9][0-9+(). -]*$", min_length=3, max_length=32),
    Field(examples=["+86 138 0000 0000"]),
]
AddressLine = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_shown_line)]
# Optional; forms send an empty text for it.
MoreOfAddress = Annotated[str, StringConstraints(max_length=200), AfterValidator(_shown_line_or_none)]
Postcode = Annotated[
    str,
    StringConstraints(pattern=r"^( *|[ -]*[A-Za-z0-9][A-Za-z0-9 -]*)$", max_length=16),
    AfterValidator(_none_if_blank),
    Field(examples=["200000"]),
]
Total = Annotated[int, Field(ge=0, le=MAX_TOTAL, description="in the currency's minor unit")]
UserId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_USER_ID), AfterValidator(_one_line)]
ProviderText = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]
IDEMPOTENCY_KEY = r"^[!-~]{1,255}$"
IdempotencyKey = Annotated[
    str, StringConstraints(pattern=IDEMPOTENCY_KEY), Field(examples=["5b0c8f1e-93a4-4c0e-8d5e-0d1a7f6b2c11"])
]
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_cursor)]
PageLimit = Annotated[
    int,
    BeforeValidator(digits),
    Field(ge=1, le=MAX_LIMIT),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}),
]
FlagInQuery = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"type": "boolean"})]
IdInQuery = Annotated[
    int,
    BeforeValidator(digits),
    Field(ge=1, le=MAX_ID),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_ID}),
]
