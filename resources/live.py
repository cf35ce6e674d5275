"""`/live`: a sale as it runs."""

from typing import Any

from core.tokens import Identity
from resources import live_models as models
from resources.auth import Access
from resources.operation import ApiResource, Operation, operation


class Live(ApiResource):
    @operation(
        Operation(
            "getLive",
            "Console",
            Access.ADMIN,
            {200: models.LiveFigures},
            query=models.LiveQuery,
            refusals=("goods_not_found", "unavailable"),
        )
    )
    def get(self, caller: Identity, query: models.LiveQuery) -> dict[str, Any]:
        """Watch a sale, or all sales, as they run.

        Over the last ten minutes, of all workers of all hosts. Computed at most once a second however often it is
        asked for.
        """
        return models.LiveFigures.model_config["json_schema_extra"]["examples"][0]  # type: ignore
