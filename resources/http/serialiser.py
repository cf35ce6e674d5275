"""Makes the bodies of answers by the models that document them, so that an answer's fields stand in one place."""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, get_args

from pydantic import BaseModel

from core.db.clock import iso

# The orders of a batch share their times, and so do repeated reads of one row.
_as_text = lru_cache(maxsize=1024)(iso)


def serialiser(model: type[BaseModel], *computed: str) -> Callable[..., dict[str, Any]]:
    """Returns a function that makes the body of `model` from an object which has the model's fields as attributes.

    The body has the fields in the model's order, times as text. The function takes the fields named in `computed`,
    which the object does not have, as keyword arguments. It validates nothing: a purchase pays about 3 µs for it.
    """
    names = tuple(model.model_fields)
    times = tuple(name for name, field in model.model_fields.items() if _is_time(field.annotation))
    stored = tuple(name for name in names if name not in computed)
    read = attrgetter(*stored)

    def body(row: Any, **given: Any) -> dict[str, Any]:
        if len(given) != len(computed):
            raise TypeError(f"{model.__name__} needs {computed}")
        values: dict[str, Any] = dict.fromkeys(names) if given else {}
        values.update(zip(stored, read(row), strict=True), **given)
        for name in times:
            moment = values[name]
            if moment is not None:
                values[name] = _as_text(moment)
        return values

    return body


def _is_time(annotation: Any) -> bool:
    return datetime in (annotation, *get_args(annotation))
