"""`/audit`: whether the stored rows keep the promises of a sale."""

from typing import Any

from core import refusals as codes
from core.ops import audit
from core.tokens import Identity
from resources import audit_models as models
from resources.http.auth import Access
from resources.http.context import services
from resources.http.operation import ApiResource, Operation, operation


class Audit(ApiResource):
    @operation(
        Operation(
            "getAudit", "Console", Access.ADMIN, {200: models.AuditReport}, refusals=(codes.BUSY, codes.UNAVAILABLE)
        )
    )
    def get(self, caller: Identity) -> dict[str, Any]:
        """Audit the whole database, in one snapshot, beside a running sale: what `flask audit` does.

        It may take a minute where there are many orders, and is ended then (`unavailable`; run the command instead).
        `busy` while another one is made on this host.
        """
        return audit.as_object(services().auditor.run())
