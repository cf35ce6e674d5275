"""All business of the sale. Nothing here knows of Flask or HTTP."""

from core.ops import figures as figures
