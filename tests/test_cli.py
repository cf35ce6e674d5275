"""The commands as an operator types them: what they print, where, and with which exit code."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

import config
from cli.terminal import stop_requested
from core.ops import doctor, doctor_mysql, seed
from core.payments import payments
from core.payments.payment_records import PaymentEvent, PaymentEventType
from core.services import Services
from core.tokens import Identity
from examples.payment_provider import new_secret
from harness.service import SECRET, environment, run_command
from tests.core.selling import Selling
from tests.database_line import after_database_line
from tests.resources.calls import ADDRESS

FLASK = [sys.executable, "-m", "flask"]
PAGE = "https://pay.example/orders/{order_no}"


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=arguments)


def as_json(app: Flask, *arguments: str) -> Any:
    return json.loads(run(app, *arguments, "--json").stdout)


def execute(app: Flask, statement: str) -> None:
    with app.extensions["seckill"].database.engine.begin() as connection:
        connection.execute(text(statement))


def flask_command(uri: str, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, from the project's root."""
    return run_command(arguments, environment(uri, **settings))


def lines_of_a_loop(uri: str, command: str, **settings: object) -> list[str]:
    """The first two lines on stderr of a command that goes on until it is stopped; none that it ended before."""
    process = subprocess.Popen(
        [*FLASK, command, "--loop"],
        cwd=config.ROOT,
        env=environment(uri, **settings),
        stderr=subprocess.PIPE,
        text=True,
    )
    patience = threading.Timer(120, process.kill)
    patience.start()
    try:
        return [process.stderr.readline() for _ in range(3)][1:]  # the first names the database
    finally:
        patience.cancel()
        process.terminate()
        process.communicate(timeout=30)


def findings(app: Flask) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in as_json(app, "doctor")["checks"]}


class TestToken:
    def test_it_prints_a_token_that_verifies_and_nothing_else(self, sqlite_app: Flask) -> None:
        result = run(sqlite_app, "token", "--user", "alice")
        tokens = sqlite_app.extensions["seckill"].tokens
        assert tokens.verify(result.stdout.strip()) == Identity("alice", is_admin=False)
        assert result.stdout.count("\n") == 1
        assert (result.stderr, result.exit_code) == ("Key: SECKILL_SECRET_KEY (settings: the caller)\n", 0)

    def test_it_says_where_the_key_comes_from_and_never_the_key(
        self, sqlite_app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECKILL_SECRET_KEY", SECRET)
        stderr = run(sqlite_app, "token", "--count", "2").stderr
        assert stderr == "Key: SECKILL_SECRET_KEY (settings: the environment)\n"
        monkeypatch.delenv("SECKILL_SECRET_KEY")
        monkeypatch.setattr(config, "INSTANCE", tmp_path)
        (tmp_path / "secret_key").write_text(SECRET)
        (tmp_path / "secret_key").chmod(0o600)
        assert run(sqlite_app, "token", "--user", "alice").stderr == "Key: instance/secret_key\n"

    def test_json_says_whose_it_is_and_when_it_ends(self, sqlite_app: Flask) -> None:
        made = as_json(sqlite_app, "token", "--user", "王芳", "--admin", "--hours", "0.5")
        assert sqlite_app.extensions["seckill"].tokens.verify(made["token"]) == Identity("王芳", is_admin=True)
        assert (made["user"], made["admin"]) == ("王芳", True)
        claims = jwt.decode(made["token"], SECRET, algorithms=["HS256"])
        assert made["expires_at"].endswith(".000Z")
        assert claims["scope"] == "admin"

    @pytest.mark.parametrize(
        "arguments",
        [
            (),
            ("--user", ""),
            ("--user", "x" * 65),
            ("--user", "a\nb"),
            ("--user", "a", "--hours", "0"),
            ("--user", "a", "--hours", "-1"),
            ("--user", "a", "--hours", "8761"),
            ("--user", "a", "--hours", "nan"),
            ("--user", "a", "--hours", "soon"),
        ],
    )
    def test_what_no_token_may_carry_is_an_error_of_usage(self, sqlite_app: Flask, arguments: tuple[str, ...]) -> None:
        result = run(sqlite_app, "token", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "Error: " in result.stderr


class TestSeed:
    def test_it_makes_items_in_both_languages_with_their_stock(self, app: Flask, client: FlaskClient) -> None:
        made = as_json(app, "seed", "--goods", "12", "--stock", "7")["goods"]
        assert len({item["name"] for item in made}) == 12
        assert any(item["name"].isascii() for item in made)
        assert any(not item["name"].isascii() for item in made)
        assert {(item["currency"], item["stock"]) for item in made} == {("CNY", 7)}
        stored = client.get(f"/goods/{made[0]['id']}").json
        assert stored is not None
        assert stored["status"] == "on_sale"
        assert isinstance(stored["price"], int)

    def test_the_table_shows_the_ids_and_the_bar_keeps_off_stdout(self, sqlite_app: Flask) -> None:
        result = run(sqlite_app, "seed")
        assert result.exit_code == 0
        first = [line.split("│")[1].strip() for line in result.stdout.splitlines() if "│" in line]
        assert first == ["1", "2", "3", "WELCOME10", "SAVE50", "FREESHIP", "standard", "express", "shanghai"]
        assert "199.00 CNY" in result.stdout
        assert "10 %, at most 50.00 CNY" in result.stdout

    def test_coupons_and_methods_are_made_once_and_stay_as_they_are(self, app: Flask, client: FlaskClient) -> None:
        first = as_json(app, "seed")
        token = app.extensions["seckill"].tokens.issue("operator", is_admin=True)
        headers = {"Authorization": f"Bearer {token}"}
        for change in ({"max_discount": None, "currency": None}, {"active": False}):
            assert client.patch("/coupons/WELCOME10", headers=headers, json=change).status_code == 200
        again = as_json(app, "seed", "--shippable")
        assert (again["coupons"], again["shipping_methods"]) == (first["coupons"], first["shipping_methods"])
        assert len(client.get("/coupons", headers=headers).json["items"]) == len(first["coupons"]) == 3
        assert len(client.get("/shipping-methods").json["items"]) == len(first["shipping_methods"]) == 3
        kept = client.get("/coupons/WELCOME10", headers=headers).json
        assert (kept["active"], kept["version"]) == (False, 3)
        assert [client.get(f"/goods/{seeded['goods'][0]['id']}").json["shippable"] for seeded in (first, again)] == [
            False,
            True,
        ]
        assert run(app, "seed").exit_code == 0  # a coupon of any currency can be shown too

    def test_what_it_makes_can_be_bought_together(self, app: Flask, client: FlaskClient) -> None:
        made = as_json(app, "seed", "--shippable")
        headers = {"Authorization": f"Bearer {app.extensions['seckill'].tokens.issue('alice')}"}
        for coupon in made["coupons"]:
            for method in made["shipping_methods"]:
                chosen = {"coupon_code": coupon, "shipping_method": method, "address": ADDRESS}
                bought = client.post(f"/seckill/{made['goods'][2]['id']}/quote", headers=headers, json=chosen)
                assert bought.status_code == 200, bought.text

    @pytest.mark.parametrize("arguments", [("--goods", "0"), ("--stock", "-1"), ("--stock", str(10**9 + 1))])
    def test_numbers_out_of_range_are_an_error_of_usage(self, sqlite_app: Flask, arguments: tuple[str, ...]) -> None:
        assert run(sqlite_app, "seed", *arguments).exit_code == 2

    def test_missing_tables_are_one_line(self, app: Flask) -> None:
        execute(app, "DROP TABLE goods")
        result = run(app, "seed")
        assert (result.exit_code, after_database_line(result.stderr).count("\n")) == (1, 1)
        assert "init-db" in result.stderr

    def test_the_demo_has_one_item_open_one_upcoming_one_sold_out_and_one_to_be_shipped(
        self, services: Services, client: FlaskClient
    ) -> None:
        made = seed.demo(services.database)
        shown = [client.get(f"/goods/{row.id}").json for row in made]
        assert [item and item["status"] for item in shown] == ["on_sale", "upcoming", "sold_out", "on_sale"]
        assert [item and item["shippable"] for item in shown] == [False, False, False, True]
        assert len(seed.demo(services.database)) == 4  # again, with the coupons and methods of the first time
        assert (made[0].stock, made[0].per_user_limit) == (100, 2)


class TestAudit:
    @pytest.fixture
    def sold(self, app: Flask, client: FlaskClient) -> dict[str, Any]:
        """An order of alice's, bought over HTTP."""
        goods_id = seed.demo(app.extensions["seckill"].database)[0].id
        headers = {"Authorization": f"Bearer {app.extensions['seckill'].tokens.issue('alice')}"}

        def buy(key: str) -> Any:
            return client.post(f"/seckill/{goods_id}", headers=headers | {"Idempotency-Key": key})

        first, _, second = buy("one").json, buy("one"), buy("two").json
        assert buy("three").json["code"] == "limit_reached"
        assert client.post(f"/orders/{first['order_no']}/cancel", headers=headers).status_code == 200
        third = buy("four").json
        assert second["order_no"] < third["order_no"]
        return third

    def test_real_purchases_are_clean(self, app: Flask, sold: dict[str, Any]) -> None:
        result = run(app, "audit")
        assert (result.exit_code, after_database_line(result.stderr)) == (0, "")
        assert "4 items and 3 orders" in result.stdout
        assert as_json(app, "audit")["ok"] is True

    def test_money_of_a_currency_that_there_is_not_is_shown_in_minor_units(self, app: Flask) -> None:
        event = PaymentEvent("e-1", PaymentEventType.SUCCEEDED, "none", 1234, "ZZZ", "p-1")
        assert payments.receive(app.extensions["seckill"].database, event) == "unknown_order"
        result = run(app, "audit")
        assert (result.exit_code, after_database_line(result.stderr)) == (0, "")
        assert result.stdout.count("1,234 ZZZ (minor units)") == 2

    def test_a_breach_exits_1_and_names_the_row(self, app: Flask, sold: dict[str, Any]) -> None:
        change = "UPDATE orders SET quantity = 5, subtotal = 5 * unit_price, total = 5 * unit_price"
        execute(app, change + " WHERE order_no = '{order_no}'".format(**sold))
        result = run(app, "audit")
        assert result.exit_code == 1
        assert sold["order_no"] in result.stdout
        assert "alice" in result.stdout
        report = as_json(app, "audit")
        assert report["ok"] is False
        broken = {check["name"]: check for check in report["checks"] if check["breaches"]}
        assert set(broken) == {"sold_is_held", "limit_kept"}
        assert broken["sold_is_held"]["rows"][0]["goods_id"] == sold["goods_id"]
        assert broken["limit_kept"]["rows"][0] == {
            "goods_id": sold["goods_id"],
            "order_no": sold["order_no"],
            "user_id": "alice",
            "idempotency_key": None,
            "expected": 2,
            "found": 6,
            "coupon_code": None,
        }

    def test_names_are_no_markup(self, app: Flask, sold: dict[str, Any]) -> None:
        execute(app, "UPDATE orders SET quantity = 5, user_id = '[red]x[/red]'")
        assert "[red]x[/red]" in run(app, "audit").stdout

    def test_a_database_out_of_reach_is_one_line_and_exits_2(self) -> None:
        uri = "mysql+mysqlconnector://root:hidden@127.0.0.1:1/none"
        for arguments in (("audit",), ("audit", "--json")):
            result = flask_command(uri, *arguments)
            assert (result.returncode, result.stdout, after_database_line(result.stderr).count("\n")) == (2, "", 1)
            assert "hidden" not in result.stderr


class TestPrune:
    """The command as it is run; what is deleted, and what is not, is in tests/events/test_retention.py."""

    OLD = "UPDATE payments SET received_at = '2001-01-01 00:00:00.000000'"

    def fill(self, app: Flask, count: int) -> None:
        for number in range(count):
            event = PaymentEvent(f"e-{number}", PaymentEventType.FAILED, "none", 7, "CNY", "p-1")
            payments.receive(app.extensions["seckill"].database, event)
        execute(app, self.OLD)

    def test_what_is_old_is_deleted_and_counted(self, sqlite_app: Flask, sqlite_uri: str) -> None:
        self.fill(sqlite_app, 2)
        result = flask_command(sqlite_uri, "prune", "--json")
        assert (result.returncode, after_database_line(result.stderr)) == (0, "")
        nothing = dict.fromkeys(("deliveries", "events", "payments", "changes", "orders", "figures"), 0)
        assert json.loads(result.stdout) == {"deleted": nothing | {"payments": 2}}
        result = flask_command(sqlite_uri, "prune")
        words = "Deleted: 0 deliveries, 0 events, 0 payments, 0 changes, 0 orders, 0 figures.\n"
        assert (result.returncode, result.stdout, after_database_line(result.stderr)) == (0, words, "")

    def test_a_loop_says_what_it_deleted_and_ends_well(self, sqlite_app: Flask, sqlite_uri: str) -> None:
        self.fill(sqlite_app, 3)
        pruner = subprocess.Popen(
            [*FLASK, "prune", "--loop", "--json"],
            cwd=config.ROOT,
            env=environment(sqlite_uri) | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert json.loads(pruner.stdout.readline())["deleted"]["payments"] == 3
        finally:
            pruner.terminate()
            rest, errors = pruner.communicate(timeout=30)
        assert (pruner.returncode, rest, after_database_line(errors)) == (0, "", "")

    def test_a_turn_that_is_stopped_begins_nothing_more(self) -> None:
        signals = {signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        try:
            assert not stop_requested()
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
            assert stop_requested()
        finally:
            signal.sigtimedwait(signals, 0)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


class TestSweep:
    def test_it_says_how_many_orders_expired(self, app: Flask) -> None:
        selling = Selling(app.extensions["seckill"])
        order = selling.bought(selling.item())
        selling.make_overdue(order)
        assert as_json(app, "sweep") == {"expired": 1}
        result = run(app, "sweep")
        assert (result.stdout, after_database_line(result.stderr), result.exit_code) == ("0 orders expired.\n", "", 0)
        assert selling.status(order) == "expired"

    def test_a_loop_goes_on_until_it_is_stopped(self, sqlite_app: Flask, sqlite_uri: str) -> None:
        selling = Selling(sqlite_app.extensions["seckill"])
        orders = [selling.bought(selling.item(), f"buyer-{n}") for n in range(2)]
        sweeper = subprocess.Popen(
            [*FLASK, "sweep", "--loop", "--json"],
            cwd=config.ROOT,
            env=environment(sqlite_uri, SWEEP_SECONDS=0.1) | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            for order in orders:
                selling.make_overdue(order)
                assert json.loads(sweeper.stdout.readline()) == {"expired": 1}
                assert selling.status(order) == "expired"
        finally:
            sweeper.terminate()
            sweeper.communicate(timeout=30)

    def test_an_item_that_does_not_add_up_ends_no_loop(self, sqlite_app: Flask, sqlite_uri: str) -> None:
        selling = Selling(sqlite_app.extensions["seckill"])
        broken, sound = (selling.bought(selling.item()) for _ in range(2))
        execute(sqlite_app, f"UPDATE goods SET sold = 0 WHERE id = {broken.goods_id}")
        for order in (broken, sound):
            selling.make_overdue(order)
        lines = lines_of_a_loop(sqlite_uri, "sweep", SWEEP_SECONDS=0.1)
        assert lines == ["Error: RuntimeError: an order's units are not among those sold\n"] * 2
        assert (selling.status(broken), selling.status(sound)) == ("pending", "expired")

    def test_a_database_out_of_reach_is_one_line(self) -> None:
        result = flask_command("mysql+mysqlconnector://root:hidden@127.0.0.1:1/none", "sweep")
        assert (result.returncode, result.stdout, after_database_line(result.stderr).count("\n")) == (1, "", 1)
        assert "hidden" not in result.stderr


class TestPublish:
    def test_a_loop_says_what_fails_and_goes_on(self) -> None:
        lines = lines_of_a_loop("mysql+mysqlconnector://root:hidden@127.0.0.1:1/none", "publish")
        assert [line.startswith("Error: the database is unavailable: 2003") for line in lines] == [True, True]


class TestDoctor:
    def test_a_sound_installation_has_nothing_to_mend(self, make_app: Callable[..., Flask], database_uri: str) -> None:
        app = make_app(database_uri, PAYMENT_WEBHOOK_SECRETS=(new_secret(),))
        result = run(app, "doctor")
        assert result.exit_code == 0, result.stdout
        found = findings(app)
        assert {check["state"] for check in found.values()} == {"ok"}
        assert SECRET not in result.stdout

    def test_it_looks_at_what_makes_a_server_durable(self, make_app: Callable[..., Flask], server_uri: str) -> None:
        found = findings(make_app(server_uri))
        names = {"database", "driver", "schema", "clock", "isolation", "time zone", "sysdate_is_now", "connections"}
        assert names | {"innodb_flush_log_at_trx_commit", "innodb_doublewrite", "writable"} <= set(found)
        assert found["isolation"]["found"] == "READ COMMITTED"

    @pytest.mark.parametrize(
        ("given", "state", "found"),
        [
            ({}, "warning", "no way to pay"),
            ({"PAYMENT_PROVIDER": "test"}, "warning", "without money"),
            ({"PAYMENT_PROVIDER": "test", "PAYMENT_WEBHOOK_SECRETS": (new_secret(),)}, "warning", "without money"),
            ({"PAYMENT_WEBHOOK_SECRETS": (new_secret(), new_secret())}, "ok", "keys: 2; buyers' page: not named"),
            ({"PAYMENT_WEBHOOK_SECRETS": (new_secret(),), "PAYMENT_URL": PAGE}, "ok", f"keys: 1; buyers' page: {PAGE}"),
        ],
    )
    def test_it_says_how_orders_are_paid(self, given: dict[str, object], state: str, found: str) -> None:
        uri = "mysql+mysqlconnector://u@127.0.0.1/d"
        settings = config.load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET, **given)
        (finding,) = (finding for finding in doctor.examine_settings(settings) if finding.name == "payments")
        assert finding.state.value == state
        assert found in finding.found

    def test_a_misspelt_setting_is_named(self, sqlite_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SECKILL_API_ORDER_LIMITS", "3")
        result = run(sqlite_app, "doctor")
        assert result.exit_code == 1
        assert "SECKILL_API_ORDER_LIMITS" in result.stdout
        assert findings(sqlite_app)["settings"]["state"] == "problem"

    def test_a_schema_of_another_release_is_a_problem(self, app: Flask) -> None:
        execute(app, "UPDATE alembic_version SET version_num = '9999'")
        assert findings(app)["schema"]["state"] == "problem"

    def test_tables_of_somebody_else_are_a_problem(self, app: Flask) -> None:
        execute(app, "DROP TABLE alembic_version")
        assert "goods" in findings(app)["schema"]["found"]

    def test_a_lock_wait_as_long_as_the_time_out_is_a_problem(
        self, make_app: Callable[..., Flask], sqlite_uri: str
    ) -> None:
        app = make_app(sqlite_uri, LOCK_WAIT_SECONDS=3, DATABASE_TIMEOUT_SECONDS=3)
        assert findings(app)["lock wait"]["state"] == "problem"

    def test_a_known_fallback_secret_is_a_warning_on_sqlite(
        self, make_app: Callable[..., Flask], sqlite_uri: str
    ) -> None:
        app = make_app(sqlite_uri, SECRET_KEY_FALLBACKS="your-256-bit-secret-your-256-bit-secret")
        assert findings(app)["fallback secret"]["state"] == "warning"
        assert run(app, "doctor").exit_code == 0

    @pytest.mark.parametrize(
        ("variables", "name", "state"),
        [
            ({"innodb_flush_log_at_trx_commit": "2"}, "innodb_flush_log_at_trx_commit", "problem"),
            ({"innodb_flush_log_at_trx_commit": "3"}, "innodb_flush_log_at_trx_commit", "ok"),
            ({"log_bin": "ON", "sync_binlog": "0"}, "sync_binlog", "problem"),
            ({"log_bin": "ON", "sync_binlog": "1"}, "sync_binlog", "ok"),
            ({"innodb_doublewrite": "OFF"}, "innodb_doublewrite", "warning"),
            ({"innodb_doublewrite": "DETECT_ONLY"}, "innodb_doublewrite", "warning"),
        ],
    )
    def test_a_server_that_can_lose_a_commit_is_told(self, variables: dict[str, str], name: str, state: str) -> None:
        found = {finding.name: finding for finding in doctor_mysql.judge_durability(variables)}
        assert found[name].state.value == state
        assert bool(found[name].mend) == (state != "ok")

    @pytest.mark.parametrize(("limit", "state"), [("151", "ok"), ("40", "warning"), ("12", "problem")])
    def test_a_server_with_too_few_connections_is_told(self, limit: str, state: str) -> None:
        values = {"max_connections": limit, "max_user_connections": "0"}
        assert doctor_mysql.judge_connections(values, worker=8).state.value == state

    def test_a_database_out_of_reach_is_a_problem_without_a_traceback(self, tmp_path: Path) -> None:
        result = flask_command("mysql+mysqlconnector://root:hidden@127.0.0.1:1/none", "doctor", "--json")
        assert (result.returncode, after_database_line(result.stderr)) == (1, "")
        assert json.loads(result.stdout)["checks"][-1]["state"] == "problem"
        assert "hidden" not in result.stdout
        missing = flask_command(f"sqlite:///{tmp_path / 'none.db'}", "doctor")
        assert missing.returncode == 1
        assert os.listdir(tmp_path) == []


class TestFromTheShell:
    def test_init_db_then_seed_then_audit(self, database_uri: str) -> None:
        for _ in range(2):
            made = flask_command(database_uri, "init-db")
            assert (made.returncode, made.stdout.count("\n")) == (0, 1), after_database_line(made.stderr)
        assert flask_command(database_uri, "seed").returncode == 0
        report = json.loads(flask_command(database_uri, "audit", "--json").stdout)
        assert (report["ok"], report["goods"]) == (True, 3)

    def test_init_db_without_a_database_is_one_line(self) -> None:
        made = flask_command("mysql+mysqlconnector://root:hidden@127.0.0.1:1/none", "init-db")
        assert (made.returncode, made.stdout, after_database_line(made.stderr).count("\n")) == (1, "", 1)
        assert "hidden" not in made.stderr

    def test_settings_that_allow_no_start_are_one_line(self, sqlite_uri: str) -> None:
        result = flask_command(sqlite_uri, "token", "--user", "alice", API_ORDER_LIMIT=0)
        assert (result.returncode, result.stdout, after_database_line(result.stderr).count("\n")) == (1, "", 1)
        assert "SECKILL_API_ORDER_LIMIT" in result.stderr

    def test_the_service_loads_nothing_that_only_the_commands_need(self, sqlite_uri: str) -> None:
        program = "import sys, app; app.create_app(); print([m for m in ('rich', 'alembic') if m in sys.modules])"
        result = subprocess.run(
            [sys.executable, "-c", program],
            cwd=config.ROOT,
            env=environment(sqlite_uri),
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stdout.strip() == "[]"
