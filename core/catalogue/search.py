"""Text in the form in which it is searched: the same on every database, whatever its collations think of case."""

import re
import unicodedata

from models import MAX_SEARCH_TEXT

# Accents of Latin, Greek and Cyrillic. Marks of other scripts are vowels and tones: they stay.
_ACCENTS = re.compile(r"[\u0300-\u036f]")


def searchable(text: str) -> str:
    """`text` without case, accents and differences of width (NFKC), to compare character by character."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", _ACCENTS.sub("", unicodedata.normalize("NFKD", folded)))[:MAX_SEARCH_TEXT]
