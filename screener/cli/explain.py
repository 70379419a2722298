"""How `screener build --explain` shows a portfolio's risk taken apart."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from screener.cli.show import Column, number, percent, print_table, say, tell

if TYPE_CHECKING:
    from screener.api import Market, RiskReport

SHOWN = 5


def print_risk(market: Market, report: RiskReport) -> None:
    """Print risk by stage, country and currency, its concentration, and what would move the weights."""
    from screener.universe.purity import LEAST_PURITY

    labels = {key: each.label for key, each in market.universe.segments.items()}
    for name, table in report.groups.items():
        say()
        columns = [
            Column(name.capitalize(), flexible=True),
            Column("Weight", 0, True),
            Column("Risk", 0, True),
        ]
        rows = [
            [labels.get(str(key), str(key)), _share(row["weight"]), _share(row["risk"])]
            for key, row in table.iterrows()
        ]
        print_table(columns, rows)
    e, c = report.explanation, report.covariance
    say()
    say(
        f"diversification ratio {number(e.diversification_ratio)}; as concentrated as {number(e.effective_names, 1)}"
    )
    say(
        f"equal names, in risk {number(e.effective_risks, 1)}; {number(e.effective_bets, 1)} independent bets"
    )
    say(f"{_share(report.dominated)} of the risk at stages where China holds over 80%,")
    say(f"{_share(report.dependent)} in names that depend on China highly")
    say(f"covariance: {c.estimator}, {c.synchroniser or 'one grid'}; average correlation")
    say(f"{number(c.average_correlation)}, condition number {number(c.condition_number, 0)}")
    if report.purity is not None:
        low, high = _share(report.purity.low), _share(report.purity.high)
        say(f"purity {_share(report.purity.middle)} ({low} to {high}): value that rare earths drive")
        if report.purity.middle < LEAST_PURITY:
            tell(f"warning: rare earths drive less than {LEAST_PURITY:.0%} of the value of what is held")
    say()
    columns = [Column("If instead"), Column("Moves", 0, True), Column("Most", 0), Column("By", 0, True)]
    rows = [
        [f"{row['what']} {row['to']}", _share(row["moved"]), str(row["most"]), percent(float(row["by"]))]
        for _, row in report.moved_by.head(SHOWN).iterrows()
    ]
    print_table(columns, rows)


def risk_record(report: RiskReport) -> dict[str, Any]:
    """Return the risk taken apart for JSON."""
    e, c = report.explanation, report.covariance
    return {
        "names": e.names.rename_axis("symbol").reset_index().to_dict("records"),
        "diversification_ratio": e.diversification_ratio,
        "concentration": e.concentration,
        "effective_names": e.effective_names,
        "effective_risks": e.effective_risks,
        "effective_bets": e.effective_bets,
        "groups": {
            name: table.rename_axis(name).reset_index().to_dict("records")
            for name, table in report.groups.items()
        },
        "risk_at_stages_china_dominates": report.dominated,
        "risk_in_names_dependent_on_china": report.dependent,
        "purity": None if report.purity is None else asdict(report.purity),
        "average_correlation": c.average_correlation,
        "condition_number": c.condition_number,
        "volatility_error": c.volatility_error.to_dict(),
        "moved_by": report.moved_by.to_dict("records"),
    }


def _share(value: Any) -> str:
    return percent(float(value), signed=False)
