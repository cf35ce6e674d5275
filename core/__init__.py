"""All business of the sale. Nothing here knows of Flask or HTTP."""

from core import figures as figures  # first: it is where all figures that modules declare are kept
