"""What the models of bodies, queries and answers have in common."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from core.db.paging import DEFAULT_LIMIT
from resources.http import fields
from resources.http.problems import Text


class Input(BaseModel):
    """A body. `hints` says of fields that there are not where what they mean is done."""

    hints: ClassVar[Mapping[str, Text]] = {}
    # strict: neither 1.9, "1" nor true is a number of units.
    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """A query."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(Query):
    """A query for a page of a list."""

    limit: fields.PageLimit = DEFAULT_LIMIT
    cursor: fields.Cursor | None = Field(None, description="`next_cursor` of the page before")


class Patch(Input):
    """A body that changes some fields; one that is left out stays as it is."""

    # The models' defaults are never used: only what the request has is.
    def given(self) -> dict[str, Any]:
        """The fields that the request sets."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Answer(BaseModel):
    """A body of an answer."""

    model_config = ConfigDict(extra="forbid")


def example(value: dict[str, Any]) -> dict[str, Any]:
    """What a model's schema shows as its example."""
    return {"examples": [value]}


def patch_example(value: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """The same of a Patch, whose fields have no defaults to show."""

    def show(schema: dict[str, Any]) -> None:
        for field in schema["properties"].values():
            field.pop("default", None)
        schema["examples"] = [value]

    return show
