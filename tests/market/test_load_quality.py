"""From files through the store to the panel: what is quarantined on the way, and what the run says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from screener.market.load import Market, Request, load_market
from screener.market.sessions import sessions_between

LAST = date(2027, 2, 3)
NOW = datetime(2027, 2, 5, 6, 0, tzinfo=UTC)


def loaded(folder: Path) -> Market:
    new_york = sessions_between("XNYS", date(2026, 1, 5), LAST)
    close = pd.Series(np.linspace(50.0, 60.0, len(new_york)), index=new_york)
    close.iloc[100:103] *= 100
    close.rename_axis("date").to_frame("close").to_csv(folder / "MP.csv")
    shanghai = sessions_between("XSHG", date(2026, 1, 5), LAST)
    pd.Series(30.0, index=shanghai).rename_axis("date").to_frame("close").to_csv(folder / "600111.SS.csv")
    weekdays = pd.bdate_range("2026-01-05", LAST)
    pd.Series(7.0, index=weekdays).rename_axis("date").to_frame("close").to_csv(folder / "CNY=X.csv")
    store = folder / "store.duckdb"
    return load_market(
        Request(as_of=LAST, now=NOW, source="files", prices=folder, store=store, since=date(2026, 1, 1))
    )


def test_a_flip_of_units_in_a_file_never_reaches_the_panel_and_the_run_says_what_it_does_not_know(
    tmp_path: Path,
) -> None:
    market = loaded(tmp_path)
    aside = [each for each in market.findings if each.symbol == "MP"]
    assert [each.check for each in aside] == ["hundredfold_glitch"] * 3
    rows = [market.panel.sessions.get_loc(pd.Timestamp(each.session)) for each in aside]
    assert not market.panel.traded["MP"].iloc[rows].any()
    assert market.panel.prices["MP"].max() < 60.01
    assert any(
        each.startswith("calendar unknown: Shanghai and Shenzhen's holidays are known to 2026-12-31")
        for each in market.warnings
    )
    assert [each.check for each in market.findings if each.symbol == "600111.SS"][-1] == "calendar_unknown"
    assert market.states["600111.SS"].state == "fresh"
