"""`/events`: events, in an order that a client can follow without missing one."""

from typing import Any

from core import refusals as codes
from core.events import event_log
from core.tokens import Identity
from resources import event_models as models
from resources.http.auth import Access
from resources.http.context import services
from resources.http.operation import ApiResource, Operation, operation


class EventList(ApiResource):
    @operation(
        Operation(
            "listEvents",
            "Events",
            Access.ADMIN,
            {200: models.EventsPage},
            query=models.EventsQuery,
            refusals=(codes.EVENTS_PRUNED, codes.UNAVAILABLE),
        )
    )
    def get(self, caller: Identity, query: models.EventsQuery) -> dict[str, Any]:
        """List the events after a given one.

        All events committed before the request are available. A client that passes the last `seq` it has as `after`
        misses no event and sees none twice. If retention has deleted events that it has not read, the answer is
        `events_pruned`; it then continues at `oldest` or at 0.
        """
        after = query.after if query.cursor is None else query.cursor
        page = event_log.list_after(services().database, after, query.limit)
        return {
            "items": [event_log.as_object(row) for row in page.items],
            "next_cursor": None if page.after is None else str(page.after[1]),
        }
