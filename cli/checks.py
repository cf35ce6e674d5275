"""`flask audit` and `flask doctor`: do the rows keep their promises, and is the installation sound?"""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cli.terminal import as_json_option, console, fail, on_database, print_json, print_table
from core.db.clock import iso
from resources.http.context import services

if TYPE_CHECKING:
    from core.ops.audit import Report
    from core.ops.finding import Finding

EXIT_UNREADABLE = 2


@click.command("audit")
@as_json_option
@on_database(may_be_missing=True)
def audit(as_json: bool) -> None:
    """Check the invariants of the sale over the whole database.

    One consistent snapshot, beside a running service. Exits 0 where all hold, 1 on any breach, 2 where the database
    cannot be read.
    """
    from rich.progress import Progress

    from core.ops import audit as audits

    terminal = console(sys.stderr)
    with Progress(console=terminal, transient=True, disable=as_json or not terminal.is_terminal) as bar:
        task = bar.add_task("Checks", total=len(audits.CHECKS))
        try:
            report = audits.run(services().settings, lambda check: bar.advance(task))
        except audits.CannotAudit as error:
            bar.stop()
            fail(str(error), EXIT_UNREADABLE)
    if as_json:
        print_json(audits.as_object(report))
    else:
        _show_report(report)
    if not report.clean:
        sys.exit(1)


@click.command("doctor")
@as_json_option
@on_database(may_be_missing=True)
def doctor(as_json: bool) -> None:
    """Examine settings, database and durability, and say how to mend what is wrong. Exits 1 on any problem."""
    from core.ops import doctor as doctors
    from core.ops.finding import State

    service = services()
    findings = doctors.examine(service.database, service.settings)
    healthy = all(finding.state is not State.PROBLEM for finding in findings)
    if as_json:
        checks = [asdict(finding) for finding in findings]
        print_json({"ok": healthy, "checks": checks})
    else:
        _show_findings(findings)
    if not healthy:
        sys.exit(1)


def _show_report(report: "Report") -> None:
    title = f"{report.goods:,} items and {report.orders:,} orders at {iso(report.taken_at)}"
    checks = ((r.check.invariant, r.check.promise, r.count or "none") for r in report.results)
    print_table(title, ("invariant", "promise", "breaches"), checks)
    if report.money:
        from core.catalogue.pricing import shown

        sums = (
            (m.currency, *(shown(a, m.currency) for a in (m.received, m.kept, m.given_back, m.to_give_back)))
            for m in report.money
        )
        print_table("Money", ("currency", "received", "kept", "given back", "to be given back"), sums)
    rows = [(r.check.invariant, r.check.name, *asdict(b).values()) for r in report.results for b in r.breaches]
    if not rows:
        return
    total = sum(result.count for result in report.results)
    title = "Breaches" if total == len(rows) else f"Breaches: {len(rows):,} of {total:,} are shown"
    columns = ("invariant", "check", "goods", "order_no", "user", "idempotency key", "expected", "found", "coupon")
    # A key that none of the rows has would only take width.
    used = [place for place in range(len(columns)) if any(row[place] is not None for row in rows)]
    print_table(title, [columns[place] for place in used], ([row[place] for place in used] for row in rows))


def _show_findings(findings: "list[Finding]") -> None:
    styles = {"ok": "green", "warning": "yellow", "problem": "bold red"}
    rows = ((f.name, f.state, f.found, f.mend) for f in findings)
    print_table("", ("check", "state", "found", "how to mend it"), rows, [styles[f.state] for f in findings])
