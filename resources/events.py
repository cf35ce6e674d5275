"""`/events`: what happened, in an order that a puller can follow without missing any."""

from typing import Any

from core.events import event_log
from core.tokens import Identity
from resources import event_models as models
from resources.auth import Access
from resources.context import services
from resources.operation import ApiResource, Operation, operation


class EventList(ApiResource):
    @operation(
        Operation(
            "listEvents",
            "Events",
            Access.ADMIN,
            {200: models.EventsPage},
            query=models.EventsQuery,
            refusals=("events_pruned", "unavailable"),
        )
    )
    def get(self, caller: Identity, query: models.EventsQuery) -> dict[str, Any]:
        """List what happened after an event.

        All that was committed before the request is there to be read. A puller that passes the last `seq` it has as
        `after` misses no event and sees none twice. One that comes back after its events were deleted for their age is
        told so, and begins again at `oldest` or at 0.
        """
        after = query.after if query.cursor is None else query.cursor
        page = event_log.list_after(services().database, after, query.limit)
        return {
            "items": [event_log.as_object(row) for row in page.items],
            "next_cursor": None if page.after is None else str(page.after[1]),
        }
