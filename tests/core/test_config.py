"""The settings: every one can be overridden, and a wrong one stops the start without being shown."""

import base64
import os
import stat
from importlib.util import find_spec
from pathlib import Path

import pytest

import config
from config import InvalidSettings, Settings, load
from core.ops.secret_key import kept_secret

MYSQL = "mysql+mysqlconnector://user:hunter2hunter2@127.0.0.1:3306/shop"
SQLITE = "sqlite:////tmp/never-opened.db"
LONG = "x9" * 20
WEBHOOK_KEY = f"whsec_{base64.b64encode(b'just 24 bytes, for a key').decode()}"

# A value for each setting as the environment has it, and what it becomes.
OVERRIDES = {
    "DEBUG": ("1", True),
    "SECRET_KEY": (LONG, LONG),
    "SECRET_KEY_FALLBACKS": (f"{LONG}a {LONG}b", (f"{LONG}a", f"{LONG}b")),
    "SQLALCHEMY_DATABASE_URI": (SQLITE, SQLITE),
    "SQLALCHEMY_TRACK_MODIFICATIONS": ("true", True),
    "API_ORDER_LIMIT": ("7", 7),
    "ORDER_PAYMENT_SECONDS": ("60", 60),
    "SWEEPER": ("off", False),
    "PUBLISHER": ("off", False),
    "WEBHOOKS_TO_PRIVATE": ("on", True),
    "SWEEP_SECONDS": ("0.5", 0.5),
    "HOLD_STRIKES": ("5", 5),
    "PAYMENT_PROVIDER": ("test", "test"),
    "PAYMENT_WEBHOOK_SECRETS": (f"{WEBHOOK_KEY} {WEBHOOK_KEY}", (WEBHOOK_KEY, WEBHOOK_KEY)),
    "HOLD_COOLDOWN_SECONDS": ("0", 0),
    "HOLD_FORGET_SECONDS": ("60", 60),
    "PURCHASE_WAIT_SECONDS": ("1.5", 1.5),
    "TRANSACTION_ATTEMPTS": ("3", 3),
    "DATABASE_POOL_SIZE": ("4", 4),
    "DATABASE_READ_POOL_SIZE": ("2", 2),
    "DATABASE_TIMEOUT_SECONDS": ("9", 9),
    "LOCK_WAIT_SECONDS": ("5", 5),
    "IDLE_TRANSACTION_SECONDS": ("6", 6),
    **{f"{kind}_KEEP_DAYS": ("7", 7) for kind in ("EVENTS", "DELIVERIES", "PAYMENTS", "CHANGES", "ORDERS", "FIGURES")},
    "CORS_ORIGINS": (
        "https://a.example http://b.example:8080 capacitor://localhost,http://[::1]:3000 capacitor-electron://-",
        (
            "https://a.example",
            "http://b.example:8080",
            "capacitor://localhost",
            "http://[::1]:3000",
            "capacitor-electron://-",
        ),
    ),
    "DRAIN_SECONDS": ("0", 0.0),
    "LOG_REQUESTS": ("Sampled:100", "sampled:100"),
    "LOG_LEVEL": ("WARNING", "warning"),
    "LOG_FORMAT": ("json", "json"),
    "PAGES": ("console docs", ("console", "docs")),
    "TRACES": ("Sampled:50", "sampled:50"),
    "TRACES_TO": ("http://collector.example:4318/v1/traces", "http://collector.example:4318/v1/traces"),
    "TRACES_AUTHORIZATION": ("Bearer abc", "Bearer abc"),
    "QUEUE_MAX": ("7", 7),
    "POLLS_PER_SECOND": ("2.5", 2.5),
    "BATCH_MAX": ("8", 8),
    "RATE_LIMITS": ("off", False),
    "RATE_LIMIT_PER_USER": ("10/second;100/minute", "10/second;100/minute"),
    "PAYMENT_URL": ("http://127.0.0.1:8100/orders/{order_no}", "http://127.0.0.1:8100/orders/{order_no}"),
    "RATE_LIMIT_PER_ADDRESS": ("5 per 2 hours", "5 per 2 hours"),
    "RATE_LIMIT_STORAGE": ("rediss://user:pw@127.0.0.1:6379/1", "rediss://user:pw@127.0.0.1:6379/1"),
    "PROXIES": ("2", 2),
    "IDENTITY_JWKS": ("https://login.example:8443/keys?v=1", "https://login.example:8443/keys?v=1"),
    "IDENTITY_ISSUER": ("https://login.example/", "https://login.example/"),
    "IDENTITY_AUDIENCE": ("shop-api shop-app", ("shop-api", "shop-app")),
    "IDENTITY_AUDIENCE_CLAIM": ("client_id", "client_id"),
    "IDENTITY_USER_CLAIM": ("uid", "uid"),
    "IDENTITY_ADMIN_CLAIM": ("realm_access.roles", "realm_access.roles"),
    "IDENTITY_ADMIN_VALUE": ("shop-admin", "shop-admin"),
    "IDENTITY_ONLY": ("on", True),
}
WRONG = {
    "DEBUG": ["maybe-marker"],
    "SQLALCHEMY_DATABASE_URI": [
        "no-url-marker",
        "postgresql://u:pw-marker@h/d",
        "mysql+mysqlconnector://u:pw-marker@h",
        "mysql://u:pw-marker@h/d",
        "mysql+mysqlconnector://u:pw-marker@h:port/d",
    ],
    "SQLALCHEMY_TRACK_MODIFICATIONS": ["maybe-marker"],
    "API_ORDER_LIMIT": ["0", "-1", "many-marker", "1.5", "1000000001"],
    "ORDER_PAYMENT_SECONDS": ["0", "soon-marker", "31536001"],
    "SWEEPER": ["maybe-marker"],
    "PUBLISHER": ["maybe-marker"],
    "WEBHOOKS_TO_PRIVATE": ["maybe-marker"],
    "SWEEP_SECONDS": ["0", "61", "nan", "often-marker"],
    "PAYMENT_PROVIDER": ["TEST", "none", "paypal-marker"],
    "PAYMENT_URL": [
        "pay-marker.example/{order_no}",
        "https://pay-marker.example/orders/",
        "https://pay-marker.example/{order_no}/{order_no}",
        "https://pay-marker.example/{order}",
        "https://{order_no}.marker.example/",
        "https://pay-marker.example{order_no}",
        "https://a:pw-marker@pay.example/{order_no}",
        "http://pay-marker.example/{order_no}",
        "http://127.0.0.1.marker.example/{order_no}",
        "javascript:marker('{order_no}')",
        "https://pay-marker.example/ {order_no}",
    ],
    "PAYMENT_WEBHOOK_SECRETS": [
        "marker",
        "whsec_",
        "whsec_marker!",
        f"whsec_{base64.b64encode(b'23 bytes, with a marker').decode()}",
        WEBHOOK_KEY.removeprefix("whsec_"),
        WEBHOOK_KEY.upper(),
        f"{WEBHOOK_KEY} marker",
    ],
    "HOLD_STRIKES": ["0", "1001", "x-marker"],
    "HOLD_COOLDOWN_SECONDS": ["-1", "31536001", "x-marker"],
    "HOLD_FORGET_SECONDS": ["0", "31536001", "x-marker"],
    "PURCHASE_WAIT_SECONDS": ["0", "nan", "inf", "60.5", "long-marker"],
    "TRANSACTION_ATTEMPTS": ["0", "101", "x-marker"],
    "DATABASE_POOL_SIZE": ["0", "1001", "x-marker"],
    "DATABASE_READ_POOL_SIZE": ["0", "1001", "x-marker"],
    "DATABASE_TIMEOUT_SECONDS": ["0", "61", "x-marker"],
    "LOCK_WAIT_SECONDS": ["0", "61", "x-marker"],
    "IDLE_TRANSACTION_SECONDS": ["0", "61", "x-marker"],
    **{
        f"{kind}_KEEP_DAYS": ["-1", "36501", "x-marker"]
        for kind in ("EVENTS", "DELIVERIES", "PAYMENTS", "CHANGES", "ORDERS", "FIGURES")
    },
    "LOG_REQUESTS": ["some-marker", "sampled", "sampled:", "sampled:0", "sampled:-1", "sampled:٣", "sampled:0.5", "on"],
    "LOG_LEVEL": ["debug", "x-marker"],
    "LOG_FORMAT": ["xml-marker"],
    "CORS_ORIGINS": [
        "*",
        "null",
        "file://",
        "://marker",
        "shop-marker.example",
        "https://*.example",
        "https://a.example/x-marker",
        "capacitor://localhost/",
        "https://marker@a.example",
        "https://a-marker.example:443",
        "http://a-marker.example:80",
        "https://a-marker.example:65536",
        "https://a-marker.example:",
        "https://(.*)",
        "https://bücher-marker.example",
    ],
    "DRAIN_SECONDS": ["-1", "301", "nan", "x-marker"],
    "PAGES": ["shop-marker", "off console", "on"],
    "TRACES": ["some-marker", "on", "sampled:", "sampled:0", "sampled:-1", "sampled:٣", "sampled:0.5", "errors"],
    "TRACES_TO": ["ftp://marker/v1/traces", "http://", "http://u:pw-marker@collector/", "http://h:port-marker/"],
    "TRACES_AUTHORIZATION": ["Bearer marker\nX: y", "Bearer märker"],
    "QUEUE_MAX": ["0", "10001", "x-marker"],
    "POLLS_PER_SECOND": ["0", "0.5", "10001", "nan", "inf", "x-marker"],
    "BATCH_MAX": ["0", "1001", "x-marker"],
    "RATE_LIMITS": ["maybe-marker"],
    "RATE_LIMIT_PER_USER": ["many-marker", "0/minute", "5", "5/fortnight", "-5/minute", "25/25hours", "1/month"],
    "RATE_LIMIT_PER_ADDRESS": ["marker/minute", "5/minute;0/hour", "5/minute;marker", "1000000001/minute"],
    "RATE_LIMIT_STORAGE": [
        "memory",
        "memcached://marker:11211",
        "redis+unix:///marker",
        "redis://:pw-marker@h:port/0",
        "redis://:pw-marker@h:6379/0?no_such_option=1",
    ],
    "PROXIES": ["-1", "11", "x-marker"],
    "IDENTITY_JWKS": [
        "http://login-marker.example/keys",
        "http://127.0.0.1.marker.example/keys",
        "ftp://marker/keys",
        "file:///marker",
        "https://",
        "https://user:marker@login.example/keys",
        "https://login.example/keys#marker",
        "https://login.example:port-marker/keys",
        "https://login.example/a marker",
    ],
    "IDENTITY_ONLY": ["maybe-marker"],
}
# Any text is a value of these.
FREE_TEXT = {
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    *(name for name in OVERRIDES if name.startswith("IDENTITY_") and name not in WRONG),
}


@pytest.fixture(autouse=True)
def _no_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The developer's own `.env` and kept key play no part."""
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setattr(config, "ENV_FILE", tmp_path / ".env")
    monkeypatch.setattr(config, "INSTANCE", tmp_path / "instance")


def test_every_setting_is_tried_here() -> None:
    assert set(OVERRIDES) == set(Settings.model_fields)
    assert set(WRONG) | FREE_TEXT == set(Settings.model_fields)


@pytest.mark.parametrize("name", OVERRIDES)
def test_the_environment_overrides_every_setting(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _text, value = OVERRIDES[name]
    for other in OVERRIDES if name.startswith("IDENTITY_") else [name]:  # these need each other
        if other == name or other.startswith("IDENTITY_"):
            monkeypatch.setenv(f"SECKILL_{other}", OVERRIDES[other][0])
    found = getattr(load(first_start=True), name)
    assert found == value
    assert type(found) is type(value) or isinstance(value, Path)
    if name != "SECRET_KEY":
        assert Settings.model_fields[name].default != value


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts])
def test_a_wrong_value_stops_the_start_with_the_setting_s_name_alone(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SECKILL_{name}", text)
    with pytest.raises(InvalidSettings) as caught:
        load()
    assert f"SECKILL_{name}" in caught.value.message
    assert "marker" not in caught.value.message
    assert "\n" not in caught.value.message


def test_all_wrong_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECKILL_API_ORDER_LIMIT", "0")
    monkeypatch.setenv("SECKILL_DRAIN_SECONDS", "-1")
    with pytest.raises(InvalidSettings, match=r"API_ORDER_LIMIT.*DRAIN_SECONDS"):
        load()


def test_an_empty_value_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECKILL_API_ORDER_LIMIT", "")
    assert load(first_start=True).API_ORDER_LIMIT == 2


def test_a_secret_of_digits_alone_stays_text(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = "0123456789" * 4
    monkeypatch.setenv("SECKILL_SECRET_KEY", digits)
    monkeypatch.setenv("SECKILL_SECRET_KEY_FALLBACKS", digits)
    settings = load(SQLALCHEMY_DATABASE_URI=MYSQL)
    assert digits == settings.SECRET_KEY
    assert (digits,) == settings.SECRET_KEY_FALLBACKS


@pytest.mark.parametrize("key", ["1e5" * 11, "true" * 8, "null" * 8, "[]" * 16])
def test_a_secret_that_looks_like_something_else_stays_text(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECKILL_SECRET_KEY", key)
    assert key == load(SQLALCHEMY_DATABASE_URI=MYSQL).SECRET_KEY


def test_names_that_are_no_setting_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECKILL_API_ORDER_LIMITS", "3")
    config.ENV_FILE.write_text("SECKILL_SECRETKEY=x\nSECKILL_DEBUG=1\nOTHER=1\n")
    assert config.unknown_names() == ["SECKILL_API_ORDER_LIMITS", "SECKILL_SECRETKEY"]


def test_a_server_database_needs_a_secret_of_ones_own() -> None:
    for key, complaint in [
        ("", "is needed"),
        ("short-key", "too short"),
        ("é" * 15, "too short"),
        *((known, "known example") for known in config.KNOWN_SECRETS),
    ]:
        with pytest.raises(InvalidSettings, match=complaint) as caught:
            load(SQLALCHEMY_DATABASE_URI=MYSQL, SECRET_KEY=key)
        assert "SECKILL_SECRET_KEY" in caught.value.message
        assert not key or key not in caught.value.message
        assert "hunter2" not in caught.value.message


def test_an_earlier_key_must_be_as_good_as_the_present_one() -> None:
    for key in ("short-key", next(iter(config.KNOWN_SECRETS))):
        with pytest.raises(InvalidSettings, match="SECKILL_SECRET_KEY_FALLBACKS") as caught:
            load(SQLALCHEMY_DATABASE_URI=MYSQL, SECRET_KEY=LONG, SECRET_KEY_FALLBACKS=(key,))
        assert key not in caught.value.message


@pytest.mark.parametrize("where", [{"DEBUG": True, "SQLALCHEMY_DATABASE_URI": MYSQL}, {}])
def test_under_debug_and_on_sqlite_a_short_key_will_do_and_none_is_kept_for_the_next_start(where: dict) -> None:
    assert load(SECRET_KEY="short", **where).SECRET_KEY == "short"
    with pytest.raises(InvalidSettings, match="SECKILL_SECRET_KEY is not set"):  # no command makes one
        load(**where)
    made = load(first_start=True, **where).SECRET_KEY  # from the file that the first start makes
    assert len(made) >= config.MIN_SECRET_BYTES
    assert made == load(**where).SECRET_KEY


def test_a_kept_secret_is_for_its_owner_s_eyes_and_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secret_key"
    first = kept_secret(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert len(first) >= config.MIN_SECRET_BYTES
    assert kept_secret(path) == first
    assert kept_secret(tmp_path / "other") != first
    assert [entry.name for entry in path.parent.iterdir()] == ["secret_key"]


def test_the_database_s_address_is_shown_without_its_password() -> None:
    settings = load(SQLALCHEMY_DATABASE_URI=MYSQL, SECRET_KEY=LONG)
    assert "hunter2" not in repr(settings.database_url)
    assert not settings.on_sqlite


def test_the_settings_do_not_change_while_the_service_runs() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(SECRET_KEY=LONG).DEBUG = True


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (None, True),
        (config.DEFAULT_DATABASE_URI, True),
        ("sqlite:///instance/shop.db", False),
        (f"{config.DEFAULT_DATABASE_URI}.copy", False),
        ("mysql+mysqlconnector://u:pw@h/d", False),
    ],
)
def test_a_name_alone_signs_in_on_the_embedded_default_only(
    uri: str | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECKILL_SQLALCHEMY_DATABASE_URI", raising=False)
    settings = load(**({} if uri is None else {"SQLALCHEMY_DATABASE_URI": uri}), SECRET_KEY="k" * 32)
    assert settings.demo_sign_in is expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"PAYMENT_PROVIDER": "webhook"}, False),
        ({"DEBUG": True, "PAYMENT_PROVIDER": "webhook"}, False),
        ({"PAYMENT_WEBHOOK_SECRETS": f"whsec_{'A' * 32}"}, False),  # a provider is there
        ({"SQLALCHEMY_DATABASE_URI": SQLITE}, False),
        ({"SQLALCHEMY_DATABASE_URI": MYSQL}, False),
        ({"SQLALCHEMY_DATABASE_URI": MYSQL, "DEBUG": True}, True),
        ({"SQLALCHEMY_DATABASE_URI": MYSQL, "PAYMENT_PROVIDER": "test"}, True),
    ],
)
def test_orders_can_be_paid_without_money_on_the_embedded_default(settings: dict, expected: bool) -> None:
    assert load(SECRET_KEY="k" * 32, **settings).test_payments is expected


IDENTITY = {"IDENTITY_JWKS": "http://localhost:9/keys", "IDENTITY_ISSUER": "x", "IDENTITY_AUDIENCE": ("shop",)}


def test_a_name_alone_does_not_sign_in_as_a_user_of_an_identity_provider() -> None:
    assert not load(SECRET_KEY="k" * 32, **IDENTITY).demo_sign_in


def test_a_relative_key_set_begins_where_other_paths_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(config, "HOME", tmp_path)
    assert f"{tmp_path}/k.json" == load(SECRET_KEY="k" * 32, **IDENTITY | {"IDENTITY_JWKS": "k.json"}).IDENTITY_JWKS


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (IDENTITY | {"IDENTITY_ISSUER": ""}, "IDENTITY_ISSUER is needed"),
        (IDENTITY | {"IDENTITY_AUDIENCE": ()}, "IDENTITY_AUDIENCE is needed"),
        (IDENTITY | {"IDENTITY_ADMIN_CLAIM": "roles"}, "IDENTITY_ADMIN_VALUE"),
        (IDENTITY | {"IDENTITY_ADMIN_VALUE": "admin"}, "IDENTITY_ADMIN_CLAIM"),
        ({"IDENTITY_ISSUER": "x"}, "IDENTITY_ISSUER is without effect"),
        ({"IDENTITY_ONLY": True}, "IDENTITY_ONLY is without effect"),
    ],
)
def test_an_identity_provider_is_described_in_full_or_not_at_all(settings: dict, named: str) -> None:
    with pytest.raises(InvalidSettings, match=named):
        load(SECRET_KEY="k" * 32, **settings)
    assert load(SECRET_KEY="k" * 32, **IDENTITY).IDENTITY_ADMIN_CLAIM == ""


def test_the_keys_of_an_identity_provider_may_lie_in_a_file() -> None:
    settings = IDENTITY | {"IDENTITY_JWKS": "instance/jwks.json"}
    assert str(config.ROOT / "instance/jwks.json") == load(SECRET_KEY="k" * 32, **settings).IDENTITY_JWKS


def test_traces_need_the_packages_of_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = "opentelemetry", "no_such_package"
    monkeypatch.setattr(config, "find_spec", lambda name: find_spec(name.replace(*renamed)))
    with pytest.raises(InvalidSettings, match=r"pip install 'flash-sale\[traces\]'"):
        load(SECRET_KEY="k" * 32, TRACES="all")
    assert load(SECRET_KEY="k" * 32).TRACES == "off"


@pytest.mark.parametrize("target", ["https://collector.example/v1/traces", "http://127.0.0.1:4318/", "spans.jsonl"])
def test_a_collectors_secret_is_not_sent_in_clear(target: str) -> None:
    secret = {"SECRET_KEY": "k" * 32, "TRACES_AUTHORIZATION": "Bearer abc"}
    assert load(TRACES_TO=target, **secret)
    with pytest.raises(InvalidSettings, match="TRACES_TO must be https://"):
        load(TRACES_TO="http://collector.example/v1/traces", **secret)


def test_a_relative_file_of_spans_begins_where_other_paths_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(config, "HOME", tmp_path)
    assert f"{tmp_path}/spans.jsonl" == load(SECRET_KEY="k" * 32, TRACES_TO="spans.jsonl").TRACES_TO
