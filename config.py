"""Every setting of the service: its meaning, unit and default.

The environment, or a file, overrides each as `SECKILL_<NAME>`. The file is `.env` beside this one, or the one that
SECKILL_ENV_FILE names: the service and its commands then read the same, whoever starts them. What neither says can
come from files of the folder that SECKILL_SECRETS_DIR names, each called as its setting.
A value of the wrong type or out of range stops the start with the setting's name; the value
itself is never printed, since it may be a secret.
"""

import base64
import os
import re
import secrets
import stat
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from click import ClickException
from dotenv import dotenv_values, find_dotenv
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from core import address
from core.ops import places, secret_key, secrets_folder
from core.ops.secret_key import KNOWN_SECRETS as KNOWN_SECRETS
from core.ops.secret_key import MIN_SECRET_BYTES as MIN_SECRET_BYTES
from core.ops.secret_key import UnfitFile, is_blank, kept_secret

ROOT = Path(__file__).resolve().parent
PREFIX = "SECKILL_"
ENV_FILE_NAME = f"{PREFIX}ENV_FILE"
INSTANCE_NAME = f"{PREFIX}INSTANCE"
SECRETS_DIR_NAME = f"{PREFIX}SECRETS_DIR"
NAMED_DATABASE_NAME = f"{PREFIX}NAMED_DATABASE_ONLY"  # deploy/seckill-ctl sets it: the embedded default is refused
# These say where settings are, and count in the environment alone.
PLACES = frozenset({ENV_FILE_NAME, INSTANCE_NAME, SECRETS_DIR_NAME, NAMED_DATABASE_NAME})


def _forget_what_flask_loaded() -> None:
    """Remove from the environment what `flask` copied there from a `.env` of the folder that it was called in.

    That file is another project's, or the one that is read anyway; as a part of the environment it would win over
    the file that SECKILL_ENV_FILE names, and move the folder of INSTANCE. Where the first environment cannot be read
    (not on Linux), nothing is done.
    """
    if os.environ.get("FLASK_RUN_FROM_CLI") != "true":
        return
    try:
        first = {entry.partition(b"=")[0] for entry in Path("/proc/self/environ").read_bytes().split(b"\0")}
        copied = [dotenv_values(path) for name in (".env", ".flaskenv") if (path := find_dotenv(name, usecwd=True))]
    except (OSError, UnicodeError):
        return
    for name, value in ((name, value) for values in copied for name, value in values.items()):
        if name.startswith(PREFIX) and os.environ.get(name) == value and os.fsencode(name) not in first:
            del os.environ[name]


_forget_what_flask_loaded()

# Whether this is a checkout. A wheel has no pyproject.toml; beside its modules nothing is to be written.
CHECKOUT = (ROOT / "pyproject.toml").exists()
# What is written here lies in INSTANCE; relative paths and `.env` begin at HOME.
INSTANCE = Path(os.environ.get(INSTANCE_NAME) or places.instance(ROOT, CHECKOUT)).absolute()
HOME = ROOT if CHECKOUT else INSTANCE
ENV_FILE = HOME / ".env"
_MAX_ENV_FILE_BYTES = 1 << 20
DEFAULT_DATABASE_URI = f"sqlite:///{INSTANCE / 'seckill.db'}"  # the embedded one

# The key of a command that runs before the service has made one.
_STAND_IN = secrets.token_hex(32)
MIN_WEBHOOK_SECRET_BYTES = 24
_DAY = 86_400  # seconds
_SAMPLED = re.compile(r"sampled:[1-9][0-9]{0,8}", re.ASCII)
_TRACES_NEED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
_IDENTITY = ("ISSUER", "AUDIENCE")  # what IDENTITY_JWKS needs
DRIVERS = ("sqlite", "mysql+mysqlconnector", "mariadb+mysqlconnector")

# An origin as browsers write it in the header `Origin`. Apps have schemes of their own, and as the host an id or `-`.
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(?::(?P<port>[0-9]{1,5}))?",
    re.ASCII | re.IGNORECASE,
)
_MAX_PORT = 65_535
# Over TLS, or of this very host. The number is no part of the host's name: no order leads to a host of its own.
_PAYMENT_URL = re.compile(
    r"(?:https://[a-z0-9.:\[\]_-]+|http://(?:127\.0\.0\.1|\[::1\]|localhost)(?::[0-9]{1,5})?)"
    r"/[!-z~]*\{order_no\}[!-z~]*",
    re.ASCII | re.IGNORECASE,
)
_DEFAULT_PORTS = {"http": 80, "https": 443}

PAGES = ("storefront", "console", "docs")

Words = Annotated[tuple[str, ...], NoDecode]


class InvalidSettings(ClickException):
    """The settings do not allow a start; the text says which and why, in one line.

    A ClickException, so that every `flask` command shows the line and exits with code 1.
    """


class Settings(BaseSettings):
    """What the service is given at its start; nothing here changes while it runs."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True
    )

    DEBUG: bool = Field(
        False, description="Readable logs, and short keys are allowed, as on SQLite. Never in production."
    )
    SECRET_KEY: str = Field(
        "",
        repr=False,
        description="Signs tokens and encrypts cursors; at least 32 bytes. On SQLite or under DEBUG one is made and "
        "kept in `instance/secret_key`; elsewhere the start is refused without it.",
    )
    SECRET_KEY_FALLBACKS: Words = Field(
        (),
        repr=False,
        description="Earlier keys that still verify, separated by spaces, while a key is being replaced.",
    )
    IDENTITY_JWKS: str = Field(
        "",
        description="The public keys of the login that a team already has, a JSON Web Key Set: its `https://` address, "
        "or a path (a relative path starts at the project's folder). Its tokens then count too: docs/identity.md.",
    )
    IDENTITY_ISSUER: str = Field("", description="Must equal the token's `iss` exactly. Required with IDENTITY_JWKS.")
    IDENTITY_AUDIENCE: Words = Field(
        (), description="What they must be meant for, one of these, separated by spaces; needed."
    )
    IDENTITY_AUDIENCE_CLAIM: str = Field("aud", min_length=1, description="The claim that holds the audience.")
    IDENTITY_USER_CLAIM: str = Field("sub", min_length=1, description="The claim that has the user's id.")
    IDENTITY_ADMIN_CLAIM: str = Field(
        "", description="The claim that makes an administrator, such as `realm_access.roles`; without it none does."
    )
    IDENTITY_ADMIN_VALUE: str = Field(
        "",
        description="The value that makes an administrator: the whole claim, one of its words, "
        "or an entry of its list.",
    )
    IDENTITY_ONLY: bool = Field(
        False,
        description="Whether tokens under `SECRET_KEY` no longer count, but for those of the service's own pages, "
        "which make no administrator.",
    )
    SQLALCHEMY_DATABASE_URI: str = Field(
        DEFAULT_DATABASE_URI,
        repr=False,
        description="`sqlite:///<path>` (a relative path starts at the project's folder) or `mysql+mysqlconnector://<user>:<password>@<host>:<port>/<database>`.",
    )
    SQLALCHEMY_TRACK_MODIFICATIONS: bool = Field(False, description="Flask-SQLAlchemy's change signals; unused here.")
    API_ORDER_LIMIT: int = Field(
        2, ge=1, le=10**9, description="Purchase transactions open on one item at once, unless the item says otherwise."
    )
    ORDER_PAYMENT_SECONDS: int = Field(
        900, ge=1, le=31_536_000, description="Seconds that an unpaid order keeps its units."
    )
    SWEEPER: bool = Field(
        True,
        description="Whether the workers give back the units of orders whose time is over; "
        "`off` to leave it to `flask sweep --loop`.",
    )
    SWEEP_SECONDS: float = Field(
        1.0, ge=0.1, le=60, description="Seconds between two looks for orders whose time is over."
    )
    HOLD_STRIKES: int = Field(
        3,
        ge=1,
        le=1000,
        description="Orders for an item that a buyer may cancel or let expire before they have to wait.",
    )
    HOLD_COOLDOWN_SECONDS: int = Field(
        60,
        ge=0,
        le=31_536_000,
        description="Seconds that such a buyer waits after the last of them, and twice as long after each further one, "
        "up to a day; 0 for none.",
    )
    HOLD_FORGET_SECONDS: int = Field(
        604_800, ge=1, le=31_536_000, description="Seconds after which such an order no longer counts; a week."
    )
    PAYMENT_PROVIDER: Literal["", "test", "webhook"] = Field(
        "",
        description="`test`: buyers pay by a call, without money; `webhook`: the payment provider reports "
        "payments by a signed call. "
        "On the embedded default database and under DEBUG `test`, else `webhook`.",
    )
    PAYMENT_WEBHOOK_SECRETS: Words = Field(
        (),
        repr=False,
        description="Keys of the payment provider, `whsec_…` of at least 24 bytes, separated by spaces; "
        "several while one is replaced.",
    )
    PAYMENT_URL: str = Field(
        "",
        description="Where buyers pay, an address with `{order_no}` in it such as "
        "`https://pay.example/orders/{order_no}`; the storefront's button leads there.",
    )
    PUBLISHER: bool = Field(
        True,
        description="Whether the workers number events and send them to webhooks; "
        "`off` to leave it to `flask publish --loop`.",
    )
    WEBHOOKS_TO_PRIVATE: bool = Field(
        False, description="Whether webhooks may be sent to private addresses and over plain HTTP."
    )
    RATE_LIMITS: bool = Field(True, description="Whether callers are limited; `off` for a load test.")
    RATE_LIMIT_PER_USER: str = Field(
        "6000/minute", description="Requests that a user may make, of one worker where it counts in memory."
    )
    RATE_LIMIT_PER_ADDRESS: str = Field(
        "60000/minute", description="Requests that may come from one address, likewise."
    )
    RATE_LIMIT_STORAGE: str = Field(
        "memory://",
        repr=False,
        description="Where requests are counted: `memory://`, or "
        "`redis://<host>:<port>` for all workers and hosts together.",
    )
    PROXIES: int = Field(0, ge=0, le=10, description="Proxies in front whose `X-Forwarded-For` is believed.")
    PURCHASE_WAIT_SECONDS: float = Field(
        3.0,
        ge=0.1,
        le=60,
        description="Seconds from its arrival that a request waits for its turn before it is answered `busy`.",
    )
    QUEUE_MAX: int = Field(
        1024,
        ge=1,
        le=10_000,
        description="Purchases that one worker keeps in its queue while an item is stuck or slow.",
    )
    POLLS_PER_SECOND: float = Field(
        8.0,
        ge=1,
        le=10_000,
        description="Requests a second of open pages that one worker answers; if more come, `Poll-After` spreads them.",
    )
    BATCH_MAX: int = Field(
        64, ge=1, le=1000, description="Purchases that are settled together in one transaction, at most."
    )
    TRANSACTION_ATTEMPTS: int = Field(
        8,
        ge=1,
        le=100,
        description="Runs of one transaction, the first included, when locks or the connection fail it.",
    )
    DATABASE_POOL_SIZE: int = Field(
        8,
        ge=1,
        le=1000,
        description="Database connections of a worker for purchases and, half of them, for payments and other changes.",
    )
    DATABASE_READ_POOL_SIZE: int = Field(
        4, ge=1, le=1000, description="Database connections of a worker for reads: lists, orders, quotes."
    )
    DATABASE_TIMEOUT_SECONDS: int = Field(
        3, ge=1, le=60, description="Seconds to wait for the database to take a connection or answer a statement."
    )
    LOCK_WAIT_SECONDS: int = Field(
        1,
        ge=1,
        le=60,
        description="Seconds that a statement waits for a row lock (MySQL); less than the timeout above.",
    )
    IDLE_TRANSACTION_SECONDS: int = Field(
        2, ge=1, le=60, description="Seconds after which the server drops a connection that holds locks and is silent."
    )
    EVENTS_KEEP_DAYS: int = Field(
        90, ge=0, le=36_500, description="Days after which `flask prune` deletes events; 0 keeps them for ever."
    )
    DELIVERIES_KEEP_DAYS: int = Field(
        30, ge=0, le=36_500, description="The same for the logs of webhooks, but for what is still to be sent."
    )
    PAYMENTS_KEEP_DAYS: int = Field(
        365, ge=0, le=36_500, description="The same for payment events without effect: failed or repeated."
    )
    CHANGES_KEEP_DAYS: int = Field(
        365, ge=0, le=36_500, description="The same for the history of items, of which the newest old change stays."
    )
    ORDERS_KEEP_DAYS: int = Field(
        0,
        ge=0,
        le=36_500,
        description="The same for orders that were cancelled or have expired and got no money; off by default.",
    )
    FIGURES_KEEP_DAYS: int = Field(
        90,
        ge=0,
        le=36_500,
        description="The same for what workers count of sales: demand, refusals and waits of their reports.",
    )
    CORS_ORIGINS: Words = Field(
        (),
        description="Origins whose pages may call the API, separated by spaces: `https://shop.example`, "
        "or an app's, such as `capacitor://localhost`.",
    )
    LOG_REQUESTS: str = Field(
        "all",
        description="Which requests have a line in the log: `all`; `errors`, those answered with 500 and above; "
        "`sampled:<n>`, those and one in n of the others; `off`. The metrics count all.",
    )
    LOG_LEVEL: Literal["info", "warning", "error"] = Field(
        "info", description="The least severe of the log's other lines: `info`, `warning` or `error`."
    )
    LOG_FORMAT: Literal["", "text", "json"] = Field(
        "", description="`text` or `json`; text on a terminal and under DEBUG, else JSON."
    )
    TRACES: str = Field(
        "off",
        description="Which requests are traced: `off`; `sampled:<n>`, one in n; `all`, to try it. "
        "Needs `pip install flash-sale[traces]`.",
    )
    TRACES_TO: str = Field(
        "http://127.0.0.1:4318/v1/traces",
        description="Where spans go: the OTLP address of a collector, over HTTP, or a path, to a file.",
    )
    TRACES_AUTHORIZATION: str = Field(
        "", repr=False, description="The `Authorization` header of what is sent to the collector, a secret."
    )
    PAGES: Words = Field(
        PAGES,
        description="Pages that are served, separated by spaces: `storefront` (`/`, `/shop`), `console` (`/admin`), "
        "`docs` (`/docs`, `/openapi.json`); `off` for none.",
    )
    DRAIN_SECONDS: float = Field(
        1.0, ge=0, le=300, description="Seconds between `readyz` failing and the workers' stop, after SIGTERM."
    )

    @field_validator(
        "SECRET_KEY_FALLBACKS", "CORS_ORIGINS", "PAGES", "PAYMENT_WEBHOOK_SECRETS", "IDENTITY_AUDIENCE", mode="before"
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("CORS_ORIGINS")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            match = _ORIGIN.fullmatch(origin)
            port = match and match["port"]
            if match is None or (port is not None and int(port) > _MAX_PORT):
                raise ValueError("each origin is scheme://host or scheme://host:port, as browsers send it")
            if port is not None and int(port) == _DEFAULT_PORTS.get(match["scheme"].lower()):
                raise ValueError("browsers leave out a scheme's usual port: leave it out here too")
        return value

    @field_validator("LOG_REQUESTS", "LOG_LEVEL", "LOG_FORMAT", "TRACES", mode="before")
    @classmethod
    def _lower_case(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("LOG_REQUESTS")
    @classmethod
    def _log_requests(cls, value: str) -> str:
        if not (value in ("all", "errors", "off") or _SAMPLED.fullmatch(value)):
            raise ValueError("it is all, errors, off, or sampled: and a number, such as sampled:100")
        return value

    @field_validator("TRACES")
    @classmethod
    def _traces(cls, value: str) -> str:
        if not (value in ("off", "all") or _SAMPLED.fullmatch(value)):
            raise ValueError("it is off, all, or sampled: and a number, such as sampled:100")
        try:
            missing = value != "off" and any(find_spec(name) is None for name in _TRACES_NEED)
        except ModuleNotFoundError:  # the package that they are in
            missing = True
        if missing:
            raise ValueError("the packages of OpenTelemetry are not installed: pip install 'flash-sale[traces]'")
        return value

    @field_validator("TRACES_TO")
    @classmethod
    def _traces_to(cls, value: str) -> str:
        if wrong := address.fault(value, plain=True):
            raise ValueError(wrong)
        return value if "://" in value else str(HOME / value)

    @field_validator("TRACES_AUTHORIZATION")
    @classmethod
    def _traces_authorization(cls, value: str) -> str:
        if not (value.isascii() and value.isprintable()):
            raise ValueError("it is what stands in a header: plain characters on one line")
        return value.strip()

    @field_validator("PAGES")
    @classmethod
    def _pages(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value == ("off",):
            return ()
        if not set(value) <= set(PAGES):
            raise ValueError(f"each is one of {', '.join(PAGES)}; or `off` alone")
        return value

    @field_validator("RATE_LIMIT_PER_USER", "RATE_LIMIT_PER_ADDRESS")
    @classmethod
    def _rate_limits(cls, value: str) -> str:
        from limits import parse_many  # only where the limits are not the default

        try:
            windows = [(item.amount, item.get_expiry()) for item in parse_many(value)]
        except ValueError:
            windows = []
        if not windows or not all(1 <= amount <= 10**9 and 1 <= seconds <= _DAY for amount, seconds in windows):
            raise ValueError("limits are such as `100/minute` or `10/second;100/minute`, over a day at most")
        return value

    @field_validator("RATE_LIMIT_STORAGE")
    @classmethod
    def _rate_limit_storage(cls, value: str) -> str:
        if value == "memory://":
            return value
        if not value.startswith(("redis://", "rediss://")):
            raise ValueError("it is memory:// or an address that begins with redis:// or rediss://")
        try:
            from redis import ConnectionPool
        except ImportError:
            raise ValueError("the package `redis` is not installed") from None
        try:
            ConnectionPool.from_url(value).make_connection()  # which connects nowhere yet
        except Exception:
            raise ValueError("not an address of a Redis server") from None
        return value

    @field_validator("PAYMENT_WEBHOOK_SECRETS")
    @classmethod
    def _webhook_secrets(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for secret in value:
            prefix, _, encoded = secret.partition("_")
            try:
                key = base64.b64decode(encoded, validate=True)
            except ValueError:
                key = b""
            if prefix != "whsec" or len(key) < MIN_WEBHOOK_SECRET_BYTES:
                raise ValueError(f"each is whsec_ and at least {MIN_WEBHOOK_SECRET_BYTES} bytes in base64")
        return value

    @field_validator("IDENTITY_JWKS")
    @classmethod
    def _jwks(cls, value: str) -> str:
        if value and (wrong := address.fault(value)):
            raise ValueError(wrong)
        return value if not value or "://" in value else str(HOME / value)

    @field_validator("PAYMENT_URL")
    @classmethod
    def _payment_url(cls, value: str) -> str:
        if value and not _PAYMENT_URL.fullmatch(value):
            raise ValueError("it is an https:// address whose path or query has {order_no} in it once")
        return value

    @field_validator("SQLALCHEMY_DATABASE_URI")
    @classmethod
    def _database(cls, value: str) -> str:
        try:
            url = make_url(value)
        except (ArgumentError, ValueError):
            raise ValueError("not a database URL") from None
        if url.drivername not in DRIVERS:
            raise ValueError(f"the scheme must be one of {', '.join(DRIVERS)}")
        if url.drivername != "sqlite":
            if not url.database:
                raise ValueError("the URL names no database")
            try:
                url.get_dialect()().create_connect_args(url)
            except Exception:
                raise ValueError("an option in the URL has a wrong value") from None
            return value
        if url.database in (None, "", ":memory:"):
            raise ValueError("workers cannot share a database in memory; name a file")
        # A relative path would mean one file to Flask-SQLAlchemy and another to the command line.
        return f"sqlite:///{HOME / str(url.database)}"

    @property
    def test_payments(self) -> bool:
        """Whether a buyer pays by a call, without money."""
        if self.PAYMENT_PROVIDER:
            return self.PAYMENT_PROVIDER == "test"
        return self.DEBUG or (self.is_demo and not self.PAYMENT_WEBHOOK_SECRETS)

    @property
    def demo_sign_in(self) -> bool:
        """Whether a visitor of the pages signs in by a name alone: not as one of an identity provider's users."""
        return self.is_demo and not self.IDENTITY_JWKS

    @property
    def is_demo(self) -> bool:
        """Whether the database is the embedded default, which is to try.

        A SQLite file that somebody chose can hold real orders.
        """
        return self.SQLALCHEMY_DATABASE_URI == DEFAULT_DATABASE_URI

    @property
    def database_url(self) -> URL:
        """The database's address, parsed; its `repr` hides the password."""
        return make_url(self.SQLALCHEMY_DATABASE_URI)

    @property
    def batch_seconds(self) -> int:
        """Seconds that a batch which has begun takes at most: a lock wait, a connection, statements, a lost COMMIT."""
        return self.LOCK_WAIT_SECONDS + 4 * self.DATABASE_TIMEOUT_SECONDS

    @property
    def answer_seconds(self) -> float:
        """Seconds after which every request has its answer."""
        return self.PURCHASE_WAIT_SECONDS + self.batch_seconds

    @property
    def on_sqlite(self) -> bool:
        return self.database_url.get_backend_name() == "sqlite"

    @property
    def has_key(self) -> bool:
        """Whether there is a key that the service has too. A command may run before the service has made one."""
        return self.SECRET_KEY != _STAND_IN


def load(*, first_start: bool = False, **overrides: Any) -> Settings:
    """Read the settings, with the secret key that the database in use requires.

    `overrides` win over the environment. Only a `first_start`, the service's, may make a key: a command that made one
    would sign what the service does not take. A command has a key for itself alone instead, which nothing keeps
    (`has_key`). Raises InvalidSettings.
    """
    try:
        settings = Settings(**_named_file(), **_secrets_folder(), **overrides)
    except ValidationError as error:
        raise InvalidSettings("; ".join(_complaints(error))) from None
    except (OSError, UnicodeError):
        raise InvalidSettings(f"{env_file()} cannot be read, or is not UTF-8") from None
    _require_database(settings, first_start)
    on_trial = settings.DEBUG or settings.on_sqlite
    if on_trial and not settings.SECRET_KEY:
        path = INSTANCE / "secret_key"
        try:
            stands_in = not first_start and _is_command() and not os.path.lexists(path)
            key = _STAND_IN if stands_in else kept_secret(path, first_start)
        except UnfitFile as error:
            raise InvalidSettings(str(error)) from None
        settings = settings.model_copy(update={"SECRET_KEY": key})
    _require_keys(settings, _fault_in_trials if on_trial else secret_key.fault)
    _require_identity(settings)
    _require_private_traces(settings)
    return settings


def share_of(which: str) -> float:
    """The share of the requests that LOG_REQUESTS or TRACES says: 1 for `all`, 1/n for `sampled:<n>`, else 0."""
    _, _, number = which.partition(":")
    return 1 / int(number) if number else float(which == "all")


def _is_command() -> bool:
    """Whether this is a command of `flask` that serves nobody."""
    return os.environ.get("FLASK_RUN_FROM_CLI") == "true" and "run" not in sys.argv[1:]


def env_file() -> Path:
    """The file of settings: the one that SECKILL_ENV_FILE names (a relative path begins here), else `.env`."""
    named = os.environ.get(ENV_FILE_NAME)
    return HOME / named if named else ENV_FILE


def file_values() -> dict[str, str | None]:
    """All values of the file of settings; nothing where there is no `.env`."""
    path = env_file()
    return dict(dotenv_values(path, encoding="utf-8")) if path.exists() else {}


def _named_file() -> dict[str, Any]:
    """The argument by which Settings reads the file that SECKILL_ENV_FILE names. Raises InvalidSettings."""
    if not os.environ.get(ENV_FILE_NAME):
        return {}
    path = env_file()
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_ENV_FILE_BYTES:
            raise InvalidSettings(f"{ENV_FILE_NAME}: {path} is no file of settings")
        path.read_bytes().decode()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidSettings(f"{ENV_FILE_NAME}: {path} cannot be read: {reason}") from None
    return {"_env_file": path}


def secrets_dir() -> Path | None:
    """The folder that has settings in files of their own, if SECKILL_SECRETS_DIR names one."""
    named = os.environ.get(SECRETS_DIR_NAME)
    return HOME / named if named else None


def _secrets_folder() -> dict[str, Any]:
    """The argument by which Settings reads the files of `secrets_dir`. Raises InvalidSettings."""
    folder = secrets_dir()
    if folder is None:
        return {}
    try:
        secrets_folder.require_fit(folder, PREFIX)
    except UnfitFile as error:
        raise InvalidSettings(f"{SECRETS_DIR_NAME}: {error}") from None
    return {"_secrets_dir": folder}


def unknown_names() -> list[str]:
    """The `SECKILL_` names in the environment and in files of settings that are no setting: probably misspelt."""
    folder = secrets_dir()
    given = {*(os.environ.keys() - PLACES), *file_values(), *(secrets_folder.names(folder, PREFIX) if folder else ())}
    known = {PREFIX + name for name in Settings.model_fields} | {PREFIX + "TEST_DATABASE_URI"}
    return sorted(name for name in given if name.startswith(PREFIX) and name not in known)


def _require_database(settings: Settings, first_start: bool) -> None:
    """Who forgot the database's address gets this error, and not one of the embedded database."""
    name = "SQLALCHEMY_DATABASE_URI"
    if name in settings.model_fields_set:
        return
    if os.environ.get(NAMED_DATABASE_NAME):
        raise InvalidSettings(f"neither {env_file()} nor a folder in {SECRETS_DIR_NAME} sets {PREFIX}{name}")
    if not first_start:
        return
    try:
        INSTANCE.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=INSTANCE).close()
    except OSError as error:
        raise InvalidSettings(
            f"{PREFIX}{name} is not set, and the database of a trial cannot be kept in {INSTANCE}: {error.strerror}"
        ) from None


def _require_keys(settings: Settings, fault: Callable[[str], str | None]) -> None:
    keys = [("SECRET_KEY", settings.SECRET_KEY)]
    for name, key in keys + [("SECRET_KEY_FALLBACKS", key) for key in settings.SECRET_KEY_FALLBACKS]:
        if wrong := fault(key):
            raise InvalidSettings(f"{PREFIX}{name} {wrong}: set at least {MIN_SECRET_BYTES} random bytes")


def _require_identity(settings: Settings) -> None:
    """Tokens of an identity provider need a stated issuer and audience."""
    given = {name: bool(getattr(settings, f"IDENTITY_{name}")) for name in (*_IDENTITY, "ADMIN_CLAIM", "ADMIN_VALUE")}
    for name in _IDENTITY if settings.IDENTITY_JWKS else ():
        if not given[name]:
            raise InvalidSettings(f"{PREFIX}IDENTITY_{name} is needed where {PREFIX}IDENTITY_JWKS is set")
    if given["ADMIN_CLAIM"] != given["ADMIN_VALUE"]:
        raise InvalidSettings(f"{PREFIX}IDENTITY_ADMIN_CLAIM and {PREFIX}IDENTITY_ADMIN_VALUE need each other")
    alone = [name for name in ("ISSUER", "AUDIENCE", "ADMIN_CLAIM") if given[name]]
    alone += ["ONLY"] if settings.IDENTITY_ONLY else []
    if alone and not settings.IDENTITY_JWKS:
        raise InvalidSettings(f"{PREFIX}IDENTITY_{alone[0]} is without effect: {PREFIX}IDENTITY_JWKS is not set")


def _require_private_traces(settings: Settings) -> None:
    if settings.TRACES_AUTHORIZATION and address.fault(settings.TRACES_TO):
        raise InvalidSettings(f"{PREFIX}TRACES_AUTHORIZATION is a secret: {PREFIX}TRACES_TO must be https:// with it")


def _fault_in_trials(key: str) -> str | None:
    """On SQLite and under DEBUG a short or well-known key will do, but not one that is blank or no text."""
    wrong = secret_key.fault(key)
    return wrong if wrong and (is_blank(key) or "UTF-8" in wrong) else None


def _complaints(error: ValidationError) -> list[str]:
    # include_input=False: a mistyped password in a URL must not reach the terminal or a log.
    return [
        f"{PREFIX}{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)
    ]
