"""What the fault tests share with the races: an empty database of the tests' own server, and a look into it."""

from tests.races.conftest import inside, own_uri

__all__ = ["inside", "own_uri"]
