"""Text that is shown to people: it has something to see, and nothing that hides or reorders the rest.

Characters are distinguished by their Unicode properties (Unicode Standard Annex 44), which the package `regex` knows.
It is loaded with the first text that is not plain ASCII: a worker at rest is to stay small.
"""

from functools import cache
from typing import Any

# What a joiner may stand between (RFC 5892, appendix A): letters of scripts that join them. Indic scripts write one
# behind a virama, at the end of a word too, and between a letter and its virama (Unicode Standard, chapter 12: Bengali
# ya-phalaa behind ra, Kannada ra).
_JOINS = r"[\p{Joining_Type=Dual_Joining}\p{Joining_Type=Left_Joining}\p{Joining_Type=Right_Joining}]"
_MARKS = r"\p{Joining_Type=Transparent}{0,8}"
_VIRAMA = r"\p{Canonical_Combining_Class=Virama}"
# An emoji that another follows: with the selector of its coloured form, or a tone of skin.
_EMOJI = r"\p{Extended_Pictographic}[\uFE0F\U0001F3FB-\U0001F3FF]*"
_TAGS = r"\U0001F3F4[\U000E0020-\U000E007E]+\U000E007F"  # the flags of England, Scotland and Wales
_IDEOGRAPH = r"\p{Unified_Ideograph}[\U000E0100-\U000E01EF]"
_MONGOLIAN = r"\p{Script=Mongolian}[\u180B-\u180D\u180F]|\p{Script=Mongolian}\u180E(?=\p{Script=Mongolian})"
_NEEDED = (
    rf"{_VIRAMA}[\u200C\u200D]"
    rf"|(?<=\p{{L}}\p{{M}}?)\u200D(?={_VIRAMA})"
    rf"|(?<={_JOINS}{_MARKS})[\u200C\u200D]+(?={_MARKS}{_JOINS})"
    rf"|{_EMOJI}(?:\u200D{_EMOJI})+"
    rf"|{_TAGS}|{_IDEOGRAPH}|{_MONGOLIAN}"
    # The selectors of an emoji's and of a text's form, behind what has both.
    r"|[\p{Emoji}\p{Extended_Pictographic}][\uFE0E\uFE0F]"
)
_UNSEEN = (
    r"[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}]"  # controls, line ends, and what is no character
    r"|[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}]"  # of zero width, fillers of Hangul, orders of direction
    r"|[\uFFF9-\uFFFC\u2800\U00016FE4\U0001D159]"  # annotations, and blanks that are no spaces
)
_VISIBLE = r"[\p{L}\p{N}\p{P}\p{S}]"
_LINE_ENDS = r"[\t\r\n]"


@cache
def _pattern(text: str) -> Any:
    import regex

    return regex.compile(text)


def hidden_character(text: str, lines: bool = False) -> bool:
    """Whether `text` has a control, bidirectional or filler character, or a joiner that nothing needs.

    With `lines`, tabs and line ends may stand in it.
    """
    if text.isascii() and text.isprintable():
        return False
    if lines:
        text = _pattern(_LINE_ENDS).sub(" ", text)
    return _pattern(_UNSEEN).search(_pattern(_NEEDED).sub(lambda found: _seen_part(found[0]), text)) is not None


def _seen_part(needed: str) -> str:
    """What is left of a sequence that is needed whole, so that its neighbours are still judged by it."""
    return needed[0] if _pattern(_UNSEEN).match(needed[0]) is None else ""


def has_visible(text: str) -> bool:
    """Whether `text` has a letter, digit, punctuation mark or symbol to see."""
    if text.isascii() and text.isprintable():
        return bool(text.strip())
    return any(_pattern(_UNSEEN).match(found[0]) is None for found in _pattern(_VISIBLE).finditer(text))
