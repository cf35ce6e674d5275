"""Start the shop: `python -m examples.shop --help`."""

import argparse

import config
from examples.shop.shop import Shop


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.shop", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="default: %(default)s")
    parser.add_argument("--service", default="http://127.0.0.1:8000", help="default: %(default)s")
    given = parser.parse_args()
    shop = Shop(given.port, given.service, config.load().SECRET_KEY)
    print(f"The shop is at {shop.url}; the service has to have SECKILL_CORS_ORIGINS={shop.url}", flush=True)
    try:
        shop.serve_forever()
    except KeyboardInterrupt:
        shop.server_close()


if __name__ == "__main__":
    main()
