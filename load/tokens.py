"""Tokens for load/buyers.sh, one a line: the operator's, then a new buyer's for each of COUNT.

python -m load.tokens URL COUNT        refuses a URL that is not of this host
"""

import sys
import uuid

import config
from core.tokens import Tokens
from load.options import require_loopback


def main() -> None:
    try:
        url, count = sys.argv[1:]
        require_loopback(url)
        number = int(count)
    except ValueError as error:
        sys.exit(f"error: {error}")
    tokens = Tokens(config.load().SECRET_KEY)
    run = uuid.uuid4().hex[:8]
    print(tokens.issue("load-operator", is_admin=True, hours=1))
    for buyer in range(number):
        print(tokens.issue(f"buyer-{run}-{buyer}", hours=1))


if __name__ == "__main__":
    main()
