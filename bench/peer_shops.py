"""The peers that sell: on the database alone, and on Redis with the database behind it."""

from pathlib import Path

import sqlalchemy

from bench.contenders import PER_USER_LIMIT, Contender, Program, State, Verdict, count_problems
from bench.peers import tables
from bench.peers.order_writer import QUEUE
from bench.servers import BenchDatabase, BenchRedis
from bench.wrk import Answers, Load
from harness.database_server import free_port, numbers
from harness.service import SECRET

GUNICORN = ["--worker-class", "gthread", "--workers", "2", "--threads", "32", "--keep-alive", "10"]


def _make_tables(uri: str) -> None:
    connect = {"charset": "utf8mb4", "collation": "utf8mb4_unicode_ci"}
    engine = sqlalchemy.create_engine(uri, connect_args=connect)
    tables.Goods.metadata.create_all(engine)
    engine.dispose()


class FlaskShop(Contender):
    """textbook or conditional: gunicorn, and one transaction a buyer."""

    def __init__(self, name: str, server: BenchDatabase, directory: Path) -> None:
        self.name = name
        self.port = free_port()
        self._server = server
        self._database = f"bench_{name}"
        uri = server.create_database(self._database)
        _make_tables(uri)
        command = ["gunicorn", "--bind", f"127.0.0.1:{self.port}", *GUNICORN, f"bench.peers.{name}:app()"]
        environment = {"BENCH_DATABASE_URI": uri, "BENCH_SECRET_KEY": SECRET}
        self._program = Program(command, directory / f"{name}.log", self.port, environment)

    def server_pids(self) -> list[int]:
        return self._program.pids()

    def database_pids(self) -> list[int]:
        return [self._server.pid]

    def put_up(self, items: int = 1, stock: int = 10**8) -> int:
        for table in ("orders", "goods"):
            self._server.rows(self._database, f"TRUNCATE {table}")
        self._server.rows(
            self._database,
            "INSERT INTO goods (name, currency, price, stock, per_user_limit)"
            f" SELECT 'item', 'CNY', 100, {stock}, {PER_USER_LIMIT} FROM {numbers(items)}",
        )
        return 1

    def state(self) -> State:
        sold, rows = self._server.rows(
            self._database, "SELECT (SELECT SUM(sold) FROM goods), (SELECT COUNT(*) FROM orders)"
        )[0]
        return State(int(sold), rows)

    def judge(self, before: State, after: State, load: Load, answers: Answers) -> Verdict:
        sold = after.units - before.units
        problems = count_problems(sold, accepted_of(answers), load.connections)
        if after.units != after.rows:
            problems.append(f"{after.rows} orders are there for {after.units} units sold")
        if self._server.rows(self._database, "SELECT id FROM goods WHERE stock < 0"):
            problems.append("oversold")
        return Verdict(sold, problems=tuple(problems))

    def stop(self) -> None:
        self._program.stop()


class RedisShop(Contender):
    """fastapi_redis: uvicorn, Redis, and the process that stores the orders."""

    name = "fastapi_redis"

    def __init__(self, server: BenchDatabase, redis: BenchRedis, directory: Path) -> None:
        self.port = free_port()
        self._server = server
        self._redis = redis
        self._database = f"bench_{self.name}"
        self._stock = 0
        uri = server.create_database(self._database)
        _make_tables(uri)
        environment = {
            "BENCH_DATABASE_URI": uri,
            "BENCH_SECRET_KEY": SECRET,
            "BENCH_REDIS_PORT": str(redis.port),
        }
        command = ["uvicorn", "bench.peers.fastapi_redis:app", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "2", "--no-access-log", "--log-level", "warning"]
        self._programs = [Program(command, directory / f"{self.name}.log", self.port, environment)]
        self._programs.append(Program(["bench.peers.order_writer"], directory / "order_writer.log", 0, environment))

    def server_pids(self) -> list[int]:
        return [pid for program in self._programs for pid in program.pids()]

    def database_pids(self) -> list[int]:
        return [self._server.pid, self._redis.pid]

    def put_up(self, items: int = 1, stock: int = 10**8) -> int:
        self._redis.client.flushall()
        self._server.rows(self._database, "TRUNCATE orders")
        fields = {"name": "item", "currency": "CNY", "price": 100, "stock": stock, "limit": PER_USER_LIMIT}
        pipeline = self._redis.client.pipeline()
        for goods_id in range(1, items + 1):
            pipeline.hset(f"goods:{goods_id}", mapping=fields)
        pipeline.execute()
        self._stock = items * stock
        return 1

    def state(self) -> State:
        # In this order: an order is stored before it leaves the queue.
        left = sum(int(self._redis.client.hget(key, "stock")) for key in self._redis.client.scan_iter("goods:*"))
        queued = self._redis.client.llen(QUEUE)
        rows = self._server.rows(self._database, "SELECT COUNT(*) FROM orders")[0][0]
        return State(self._stock - left, rows, queued)

    def judge(self, before: State, after: State, load: Load, answers: Answers) -> Verdict:
        sold = after.units - before.units
        problems = count_problems(sold, accepted_of(answers), load.connections)
        if after.units > self._stock:
            problems.append("oversold")
        if after.queued:
            problems.append(f"{after.queued} orders were still not stored")
        elif after.units != after.rows:
            problems.append(f"{after.rows} orders are there for {after.units} units sold")
        return Verdict(sold, problems=tuple(problems))

    def stop(self) -> None:
        for program in reversed(self._programs):
            program.stop()


def accepted_of(answers: Answers) -> int:
    """How many purchases were answered with 201."""
    return answers.answered - answers.not_ok if answers.codes is None else answers.codes.get("201", 0)
