"""What the universe states of each name, as columns beside its metrics, and how concentrated each stage is.

These are facts as checked today, not as known on a past date; prices and volumes are of the date asked for.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from screener.universe.model import Universe

FACTS = {  # column → what it is
    "name": "the issuer",
    "issuer": "two lines of one company share it",
    "segment": "primary stage of the chain",
    "other_segments": "list of further stages",
    "purity": "share of value that rare earths drive: pure-play, major, minor, indirect, none",
    "china_dependence": "low, medium, high, china-domiciled",
    "domicile": "ISO country; the groups a state owns are apart, such as CN state",
    "operations": "list of ISO countries of mines and plants",
    "materials": "list of elements, compounds and products made or needed",
    "elements": "list of the elements in these materials: NdPr is Nd and Pr",
    "mic": "ISO 10383 market",
    "currency": "as quoted",
    "tags": "list, such as core",
    "verified": "yes, partial, no",
    "stage_order": "place of the stage, upstream to downstream",
    "china_share": "China's fraction of world output of the stage",
    "stage_hhi_country": "Herfindahl index of the stage by domicile, weighted by value traded",
    "stage_hhi_company": "Herfindahl index of the stage by issuer, weighted by value traded",
}


def supply_chain_columns(universe: Universe, symbols: Iterable[str], adv: pd.Series) -> pd.DataFrame:
    """Return N × F: the columns of FACTS for each symbol, indexed by symbol; a list is a tuple of texts.

    adv: average daily value traded by symbol, base currency; it weighs names in a stage's concentration,
    because market values of a past date are not known. Names without it have no weight there.
    """
    chosen = [universe.instruments[str(symbol)] for symbol in symbols]
    table = pd.DataFrame(
        {
            "name": [each.name for each in chosen],
            "issuer": [each.issuer for each in chosen],
            "segment": [each.segment for each in chosen],
            "other_segments": [each.other_segments for each in chosen],
            "purity": [each.purity for each in chosen],
            "china_dependence": [each.china_dependence for each in chosen],
            "domicile": [each.domicile_class for each in chosen],
            "operations": [each.countries for each in chosen],
            "materials": [each.materials for each in chosen],
            "elements": [universe.elements_of(each) for each in chosen],
            "mic": [each.mic for each in chosen],
            "currency": [each.currency for each in chosen],
            "tags": [each.tags for each in chosen],
            "verified": [each.verified for each in chosen],
            "stage_order": [float(universe.segments[each.segment].order) for each in chosen],
            "china_share": [_share(universe, each.segment) for each in chosen],
        },
        index=pd.Index([each.symbol for each in chosen], dtype="str"),
    )
    size = adv.reindex(table.index)
    for column, key in (("stage_hhi_country", "domicile"), ("stage_hhi_company", "issuer")):
        by_stage = {
            stage: herfindahl(size[rows.index].groupby(rows[key]).sum())
            for stage, rows in table.groupby("segment")
        }
        table[column] = table["segment"].map(by_stage).astype(float)
    return table


def herfindahl(sizes: pd.Series) -> float:
    """Return Σ shares², from 1 / K for K equal sizes to 1 for one of them; NaN when nothing has a size.

    Source: Herfindahl (1950); Hirschman (1964).
    """
    total = float(sizes.sum())
    return float(((sizes / total) ** 2).sum()) if total > 0 else float("nan")


def _share(universe: Universe, segment: str) -> float:
    share = universe.segments[segment].china_share
    return np.nan if share is None else share
