"""The search form of text: the same on every database, whatever its collations do with case and accents."""

import re
import unicodedata

from models import MAX_SEARCH_TEXT

# Accents of Latin, Greek and Cyrillic. Marks of other scripts are vowels and tones: they stay.
_ACCENTS = re.compile(r"[\u0300-\u036f]")


def searchable(text: str) -> str:
    """`text` with case, accents and width (NFKC) folded, to be compared character by character."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", _ACCENTS.sub("", unicodedata.normalize("NFKD", folded)))[:MAX_SEARCH_TEXT]
