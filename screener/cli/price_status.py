"""What `prices status` shows: a line a symbol, then the bars in quarantine and what the user decided."""

from __future__ import annotations

from collections import Counter
from textwrap import fill
from typing import TYPE_CHECKING, Any

from screener.cli.show import Column, print_table, say

if TYPE_CHECKING:
    import pandas as pd

    from screener.api import Market

BARS_SHOWN, WIDTH = 15, 80


def status_records(table: pd.DataFrame, market: Market) -> list[dict[str, Any]]:
    """Return a record a symbol for --json, with its quarantined bars and verdicts."""
    records: list[dict[str, Any]] = []
    for record in table.reset_index(names="symbol").to_dict("records"):
        symbol = record["symbol"]
        bad = [each for each in market.findings if each.quarantined and each.symbol == symbol]
        decided = [each for each in market.verdicts if each.symbol == symbol]
        records.append(
            {
                **{str(name): value for name, value in record.items()},
                "quarantined_bars": [
                    {"session": str(each.session), "check": each.check, "detail": each.detail} for each in bad
                ],
                "verdicts_given": [
                    {
                        "session": str(each.session),
                        "decision": each.decision,
                        "reason": each.reason,
                        "close": each.close,
                        "given_at": each.given_at.isoformat(),
                    }
                    for each in decided
                ],
            }
        )
    return records


def print_status(table: pd.DataFrame, market: Market) -> None:
    """Print the table of symbols, the quarantined bars and the verdicts."""
    columns = [
        Column("Symbol"),
        Column("State", drop=5),
        Column("First", drop=1),
        Column("Last"),
        Column("Rows", 2, True),
        Column("Gaps", 1, True),
        Column("Missed", 3, True),
        Column("Fetched", drop=1),
        Column("Changed", 1, True),
        Column("Bad", 1, True),
        Column("Reason", drop=6, flexible=True),
    ]
    print_table(columns, [_row(str(symbol), row) for symbol, row in table.iterrows()])
    counts = Counter(each.state for each in market.states.values())
    say(", ".join(f"{count} {state}" for state, count in counts.most_common()))
    if market.request.known_at is not None:
        say(f"as stored on {market.request.known_at:%Y-%m-%d %H:%M} UTC")
    bad = [each for each in market.findings if each.quarantined]
    if bad:
        say(f"{len(bad)} findings keep bars out; `screener prices accept SYMBOL DATE` overrules:")
        for each in bad[:BARS_SHOWN]:
            _print_bar(f"{each.symbol} {each.session} {each.check}", each.detail)
        if len(bad) > BARS_SHOWN:
            say(f"… {len(bad) - BARS_SHOWN} more; --json lists all")
    if market.verdicts:
        say("decided by you:")
        for verdict in market.verdicts:
            _print_bar(f"{verdict.symbol} {verdict.session} {verdict.decision}ed", verdict.reason)


def _print_bar(which: str, why: str) -> None:
    say(fill(f"{which}: {why}", WIDTH, initial_indent="  ", subsequent_indent="      "))


def _row(symbol: str, row: Any) -> list[str]:
    def text(value: Any) -> str:
        return "—" if value is None or value != value else str(value)

    fetched = text(row["fetched_at"])[:10]
    counts = [row["gaps"], row["missed"], fetched, _count(row["restated"]), row["quarantined"]]
    return [
        symbol,
        row["state"],
        text(row["first"]),
        text(row["last"]),
        f"{row['rows']:,}",
        *(str(each) for each in counts),
        row["reason"],
    ]


def _count(value: Any) -> int:
    return 0 if value != value else int(value)
