"""Where the scenarios play: the servers, the contenders on them, and what a run needs beside."""

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import serve
from bench import measure
from bench.contenders import Contender, OnGranian
from bench.measure import Run
from bench.ours import DEFAULTS, Ours, Setup, user_name
from bench.peer_shops import FlaskShop, RedisShop
from bench.servers import DATABASES, BenchDatabase, BenchRedis
from bench.wrk import USERS, Load
from core.tokens import Tokens
from harness.service import SECRET

log = logging.getLogger("bench")


@dataclass(frozen=True)
class Options:
    """What is measured on which server: seconds a run, rounds, rows in the large table of orders."""

    server: str = "mysql"
    seconds: int = 2
    rounds: int = 3
    orders: int = 10**7
    quick: bool = False


@dataclass
class Stage:
    """Everything that stands while the benchmark runs. A contender is started when it is first asked for."""

    options: Options
    directory: Path
    stack: contextlib.ExitStack
    tokens: Path
    redis: BenchRedis | None = None
    connections: dict[str, int] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    _users: int = USERS
    _databases: dict[str, BenchDatabase] = field(default_factory=dict)
    _contenders: dict[str, Contender] = field(default_factory=dict)

    @classmethod
    def set_up(cls, options: Options, directory: Path, stack: contextlib.ExitStack) -> "Stage":
        """Start the database and make the tokens. What is started here is stopped by `stack`."""
        stage = cls(options, directory, stack, _write_tokens(directory / "tokens", 0, USERS))
        stage.database()
        return stage

    def database(self, kind: str | None = None) -> BenchDatabase:
        """The server of that kind, by default the one that is measured on; started when it is first asked for."""
        kind = kind or self.options.server
        if kind not in self._databases:
            server = DATABASES[kind](self.directory / kind)
            self.stack.callback(server.stop)
            server.start()
            self._databases[kind] = server
        return self._databases[kind]

    @property
    def databases(self) -> dict[str, BenchDatabase]:
        """The servers that were started, by their kind."""
        return dict(self._databases)

    def contender(self, name: str) -> Contender:
        """The contender of that name; names that begin with `ours` are the service, each on its own database."""
        return self._standing(name, lambda: self._start(name))

    def ours(self, name: str = "ours", setup: Setup = DEFAULTS, kind: str | None = None) -> Ours:
        """The service of that name, set up so on a server of that `kind` when it is first asked for."""
        contender = self._standing(name, lambda: Ours(name, self.database(kind), self.directory, setup))
        assert isinstance(contender, Ours)
        return contender

    def _standing(self, name: str, start: Callable[[], Contender]) -> Contender:
        if name not in self._contenders:
            log.info("starting %s", name)
            contender = start()
            self.stack.callback(contender.stop)
            self._contenders[name] = contender
        return self._contenders[name]

    def tokens_of_strangers(self, count: int) -> Path:
        """A file with the tokens of `count` users whom nobody has seen yet."""
        self._users += count
        return _write_tokens(self.directory / f"tokens-{self._users}", self._users - count, count)

    def _start(self, name: str) -> Contender:
        makers: dict[str, Callable[[], Contender]] = {
            "textbook": lambda: FlaskShop(name, self.database(), self.directory),
            "conditional": lambda: FlaskShop(name, self.database(), self.directory),
            "fastapi_redis": lambda: RedisShop(self.database(), self.start_redis(), self.directory),
            "nothing": lambda: OnGranian(name, "nothing", self.directory, serve.THREADS),
            "nothing_by_wsgi": lambda: OnGranian(name, "nothing", self.directory),
            "bare": lambda: OnGranian(name, "bare", self.directory),
        }
        return makers.get(name, lambda: Ours(name, self.database(), self.directory))()

    def start_redis(self) -> BenchRedis:
        if self.redis is None:
            self.redis = BenchRedis(self.directory / "redis")
            self.stack.callback(self.redis.stop)
        return self.redis

    def warm_up(self, contender: Contender, load: Load) -> None:
        measure.warm_up(contender, load, self.tokens)

    def measure(
        self,
        contender: Contender,
        load: Load,
        labels: tuple[str, str, int],
        refused: bool = False,
        beside: Load | None = None,
    ) -> Run:
        """One run, measured; `beside` it another load."""
        return measure.measure(contender, load, self.tokens, labels, refused, beside)


def _write_tokens(path: Path, first: int, count: int) -> Path:
    issuer = Tokens(SECRET)
    path.write_text("".join(issuer.issue(user_name(number)) + "\n" for number in range(first, first + count)))
    return path
