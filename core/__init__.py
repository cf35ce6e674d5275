"""All business of the sale. Nothing here knows of Flask or HTTP."""
