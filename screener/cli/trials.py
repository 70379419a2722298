"""`screener trials`: every variant that was ever backtested, because the best of many is partly luck."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from screener.cli.options import JsonOption
from screener.cli.show import Column, dump, number, print_table, say, tell

if TYPE_CHECKING:
    from screener.backtest.ledger import Ledger, Trial
    from screener.backtest.validity import Search

LedgerOption = Annotated[
    Path | None,
    typer.Option(
        "--ledger", envvar="SCREENER_LEDGER", help="The ledger of trials. [default: beside the price store]"
    ),
]
WIDEST = 60  # characters of settings
WEEKS_A_YEAR = 365.25 / 7


def trials(
    theme: Annotated[str, typer.Argument(help="A theme; without one, all are counted.")] = "",
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the backtests that were tried, with their Sharpe ratios. Example: screener trials magnets."""
    from screener.backtest.ledger import read_ledger
    from screener.errors import UserError, unknown

    path = ledger or default_ledger()
    found = read_ledger(path)
    groups = _groups(found)
    if theme and groups and theme not in {key[1] for key in groups}:
        raise UserError(unknown("theme", theme, sorted({key[1] for key in groups})))
    groups = {key: each for key, each in groups.items() if theme in ("", key[1])}
    if as_json:
        dump(_record(path, found, groups))
    else:
        _print(path, theme, groups)
    for each in found.damage:
        tell(f"{path}, line {each.line}: cannot be read and is not counted ({each.reason})")


def default_ledger() -> Path:
    """Return where trials are recorded unless told otherwise: beside the default price store."""
    from screener.market.load import default_store

    return default_store().with_name("trials.jsonl")


Groups = dict[tuple[str, str, bool], list["Trial"]]


def _groups(found: Ledger) -> Groups:
    """Return the trials by universe, theme and whether prices are synthetic: one search each."""
    groups: Groups = {}
    for each in found.trials:
        groups.setdefault(each.variant.group, []).append(each)
    return dict(sorted(groups.items()))


def _search(group: list[Trial]) -> Search:
    from screener.backtest.ledger import weekly_matrix
    from screener.backtest.validity import search_of

    return search_of(weekly_matrix(group))


def _counted(number_of: int) -> str:
    return "1 variant" if number_of == 1 else f"{number_of:,} variants"


def _annual(trial: Trial) -> float:
    return trial.sharpe_ratio * math.sqrt(trial.per_year)


def _print(path: Path, theme: str, groups: Groups) -> None:
    if not groups:
        say(f"no backtest is recorded in {path}")
        return
    if not theme:
        columns = [Column("Theme"), Column("Universe", 2), Column("Prices", 1), Column("Variants", 0, True)]
        columns += [Column("Best Sharpe", 0, True), Column("By luck", 3, True), Column("Last tried", 4)]
        print_table(columns, [_summary(key, group) for key, group in groups.items()])
        say("by luck: the Sharpe ratio to expect of the best of so many variants without any skill")
        return
    for (universe, _, synthetic), group in groups.items():
        search = _search(group)
        say(f"{theme} of {universe}, {_prices(synthetic)} prices: {_counted(len(group))}")
        columns = [Column("Variant", 3), Column("Sharpe", 0, True), Column("Returns", 2, True)]
        columns += [Column("As of"), Column("Tried", 1), Column("What is unlike the first", 0, flexible=True)]
        ordered = sorted(group, key=_annual, reverse=True)
        print_table(columns, [_row(each, group[0]) for each in ordered])
        luck, spread = (number(each * WEEKS_A_YEAR**0.5) for each in (search.expected_maximum, search.spread))
        say(f"Without skill the best of them is expected at a Sharpe ratio of {luck};")
        say(f"the standard deviation of theirs is {spread}.")


def _prices(synthetic: bool) -> str:
    return "SYNTHETIC" if synthetic else "real"


def _summary(key: tuple[str, str, bool], group: list[Trial]) -> list[str]:
    universe, theme, synthetic = key
    last = max(each.recorded_at for each in group)
    best = max(_annual(each) for each in group)
    luck = _search(group).expected_maximum * WEEKS_A_YEAR**0.5
    return [
        theme,
        universe,
        _prices(synthetic),
        f"{len(group):,}",
        number(best),
        number(luck),
        f"{last:%Y-%m-%d}",
    ]


def _row(trial: Trial, first: Trial) -> list[str]:
    own, other = (_flat({"source": each.variant.source, **each.variant.settings}) for each in (trial, first))
    unlike = {name: value for name, value in own.items() if other.get(name) != value}
    words = ", ".join(f"{name} {value}" for name, value in unlike.items()) or (
        "the first" if trial is first else "fewer settings"
    )
    return [
        trial.variant.key[:8],
        number(_annual(trial)),
        f"{trial.returns:,}",
        str(trial.as_of),
        f"{trial.recorded_at:%Y-%m-%d}",
        words if len(words) <= WIDEST else words[: WIDEST - 1] + "…",
    ]


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings one level deep, each under its own name."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _flat(value) if isinstance(value, Mapping) else {name: value}
    return found


def _record(path: Path, found: Ledger, groups: Groups) -> dict[str, Any]:
    return {
        "schema": "screener.trials/1",
        "ledger": str(path),
        "damaged_lines": [each.line for each in found.damage],
        "themes": [
            {
                "universe": universe,
                "theme": theme,
                "prices": _prices(synthetic),
                "variants": [
                    {
                        "variant": each.variant.key,
                        "settings": dict(each.variant.settings),
                        "sharpe_ratio": _annual(each),
                        "returns": each.returns,
                        "as_of": str(each.as_of),
                        "recorded_at": each.recorded_at.isoformat(),
                        "source": each.variant.source,
                        "prices_hash": each.prices_hash,
                    }
                    for each in group
                ],
                "effective": search.effective,
                "expected_maximum": search.expected_maximum * WEEKS_A_YEAR**0.5,
            }
            for (universe, theme, synthetic), group in groups.items()
            for search in [_search(group)]
        ],
    }
