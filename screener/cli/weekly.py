"""`screener weekly`: the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screener.cli.backtest import CostOption, RebalanceOption, YearsOption
from screener.cli.notify import NotifyOption, notifier
from screener.cli.options import JsonOption, with_request
from screener.cli.show import PARTIAL, finish, print_json, progress, say, tell

if TYPE_CHECKING:
    from screener.api import EarningsDates, Request


@with_request
def weekly(
    request: Request,
    output: Annotated[
        Path, typer.Option("--output", envvar="SCREENER_OUTPUT", help="Folder of the reports.")
    ] = Path("outputs"),
    rebalance: RebalanceOption = "monthly",
    cost_bps: CostOption = None,
    years: YearsOption = 5,
    lang: Annotated[str, typer.Option("--lang", envvar="SCREENER_LANG", help="Language: en or ja.")] = "en",
    pdf: Annotated[bool, typer.Option("--pdf", help="Also report.pdf, by Chromium, Chrome or Edge.")] = False,
    eml: Annotated[bool, typer.Option("--eml", help="Also report.eml, a draft; nothing is sent.")] = False,
    earnings: Annotated[
        bool, typer.Option("--earnings", help="Ask Yahoo for earnings dates, a request a name.")
    ] = False,
    notify_cmd: NotifyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Write this week's report. Example: screener weekly --source sample.

    Running it again for the same week replaces the report whole. Two runs for one folder at the same time: the
    second waits --wait seconds, then ends with 1. Ends with 0 complete, 3 partial, 1 or 2 nothing was written.
    """
    from screener.api import BacktestSettings, Forms
    from screener.api import weekly as run
    from screener.report.summary import summary_of

    tell_of = notifier(notify_cmd)
    with tell_of.failures(), progress("prices") as show:
        forms = Forms(lang, pdf, eml, earnings)
        outcome = run(
            request,
            output,
            BacktestSettings(rebalance, cost_bps, years),
            progress=show,
            forms=forms,
        )
    unanswered, page = _unanswered(outcome.inputs.earnings), outcome.folder / "report.html"
    problems = [*outcome.market.problems, *unanswered]
    summary = summary_of(outcome.report)
    told = summary + "".join(f"{each}\n" for each in problems)
    tell_of.run(told, PARTIAL if problems else 0, str(page.absolute()))
    if as_json:
        print_json("weekly", outcome.market, {"folder": str(outcome.folder)})
    else:
        say(summary)
        say(str(page))
    for line in unanswered:
        tell(line)
    finish(outcome.market, quietly=as_json, stated=outcome.inputs.earnings)


def _unanswered(asked: EarningsDates | None) -> list[str]:
    failures = {} if asked is None else asked.failures
    return [f"{symbol}: no earnings date, {why}" for symbol, why in failures.items()]
