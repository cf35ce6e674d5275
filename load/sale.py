"""The item of one run, put up by an operator with the settings of this shell."""

import time
from datetime import datetime, timedelta, timezone

import requests

from core.tokens import Tokens
from load.options import Options

_PATIENCE_SECONDS = 35


class Sale:
    """An item on sale `opens_in` seconds from now. Raises RuntimeError where the service does not take it."""

    def __init__(self, options: Options, tokens: Tokens, opens_in: float = 0) -> None:
        self._url = options.url
        opens = datetime.now(timezone.utc) + timedelta(seconds=opens_in)
        body = {
            "name": "压力测试 load test",
            "currency": "CNY",
            "price": 100,
            "stock": options.stock,
            "starts_at": opens.isoformat(timespec="milliseconds"),
        }
        headers = {"Authorization": f"Bearer {tokens.issue('load-operator', True, hours=1)}"}
        try:
            answer = requests.post(f"{self._url}/goods", json=body, headers=headers, timeout=_PATIENCE_SECONDS)
        except requests.ConnectionError:
            raise RuntimeError(f"no service at {self._url}; start it with make run") from None
        if answer.status_code != 201:
            raise RuntimeError(
                f"POST /goods was answered {answer.status_code}: {answer.text[:200]}\n"
                "Does the service run with the SECKILL_ settings of this shell?"
            )
        self.goods_id: int = answer.json()["id"]

    def sold(self) -> int:
        time.sleep(1.5)  # what the service shows of an item may be a second old
        answer = requests.get(f"{self._url}/goods/{self.goods_id}", timeout=_PATIENCE_SECONDS)
        sold: int = answer.json()["sold"]
        return sold
