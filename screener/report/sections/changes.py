"""What changed since the last report of this universe: where returns came from, who moved and why, prices and rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from screener.errors import UserError
from screener.report.blocks import Block, Cell, Column, Details, Name, Paragraph, Rows, Section, Table
from screener.report.sections.chain import stage_label
from screener.report.sections.screen import screen_label
from screener.report.standing import label_of_theme, named, some, told
from screener.report.words import UNKNOWN, Wording, change, is_known, percent, wording
from screener.screening.rules import parse_rule
from screener.screening.words import describe

if TYPE_CHECKING:
    from screener.backtest.theme import ThemeResult
    from screener.market.restated import Restated
    from screener.report.changes import Changes, ReturnSplit
    from screener.report.differences import Move, RuleChange
    from screener.report.memory import PassedOver
    from screener.report.model import WeeklyInputs

SHOWN = 12  # rows of a table of moves, prices or rules; moves.csv and run.json have them all
# a difference of the same week's return that is more than the start of the backtest moving on
TOLD_APART = 0.0005
LONGEST = 60  # characters of a rule
PROSE = ("method", "limits", "risk_budgets", "rule.segments", "rules")


def section(inputs: WeeklyInputs) -> Section:
    """Return what changed, or the one line that says there is nothing to compare with."""
    say, changes = wording(inputs.language), inputs.changes
    passed_over = tuple(_passed_over(each, say) for each in inputs.passed_over)
    if changes is None:
        return Section("changes", say("changes.title"), say("changes.first"), passed_over)
    blocks: list[Block] = []
    if inputs.themes:
        blocks.append(_returns(inputs, changes, say))
    blocks += [*_told_apart(inputs, changes, say), *_moves(inputs, changes, say)]
    blocks += [*_restated(inputs, changes, say), *_rules(inputs, changes, say), *passed_over]
    return Section("changes", say("changes.title"), changes_lead(changes, say), tuple(blocks))


def changes_lead(changes: Changes, say: Wording) -> str:
    """Return the changes in a sentence with their numbers."""
    counted, day = counted_changes(changes, say), say.prose_day(changes.previous.as_of)
    words = say("changes.lead", day=day, what=counted) if counted else say("changes.nothing", day=day)
    totals = [each.total for each in changes.splits.values() if is_known(each.total)]
    if not totals:
        return words
    return say.joined([say("changes.returns", low=change(min(totals)), high=change(max(totals))), words])


def counted_changes(changes: Changes, say: Wording) -> str:
    """Return how many holdings, places in screens, prices and rules changed, "" where none did."""
    found, parts = changes.differences, []
    for key, moves in (("changes.holdings", found.moves), ("changes.places", found.screens)):
        if moves:
            entered = sum(each.entered for each in moves)
            parts.append(say(key, entered=entered, left=len(moves) - entered))
    if changes.restated:
        parts.append(say("changes.prices", n=len(changes.restated)))
    rules = len(found.rules) + len(found.new_themes) + len(found.gone_themes)
    if rules:
        parts.append(say("changes.differ", n=rules))
    return say.reasons(parts)


def _returns(inputs: WeeklyInputs, changes: Changes, say: Wording) -> Table:
    """Return a row a theme: its return split into local price, currency, dividends and costs."""
    turnover = {each.theme: each.turnover for each in changes.differences.themes}
    rows: list[tuple[Cell, ...]] = []
    for result in inputs.themes:
        label, split = Name(label_of_theme(inputs, result), ""), changes.splits.get(result.theme.key)
        moved = turnover.get(result.theme.key)
        if split is None:
            rows.append((label, *(UNKNOWN,) * 6, moved))
            continue
        parts = [change(float(each), 2) for each in split.parts]
        rows.append((label, change(split.total, 2), *parts, _largest(inputs, split, say), moved))
    columns = (
        Column(say("column.portfolio"), "name"),
        Column(say("changes.total"), "written"),
        Column(say("changes.price"), "written", note=say("changes.price_note")),
        Column(say("changes.currency"), "written", note=say("changes.currency_note")),
        Column(say("changes.dividends"), "written"),
        Column(say("changes.cost"), "written"),
        Column(say("changes.largest"), "text"),
        Column(say("changes.turnover"), "share", note=say("changes.turnover_note")),
    )
    spans = sorted({(each.since, each.until) for each in changes.splits.values()})
    since, until = spans[0] if spans else (changes.previous.as_of, inputs.run.as_of)
    title = say(
        "changes.table",
        since=say.prose_day(since),
        until=say.prose_day(until),
        currency=inputs.run.base_currency,
    )
    return Table(title, columns, (Rows(tuple(rows)),), note=say("changes.note"))


def _largest(inputs: WeeklyInputs, split: ReturnSplit, say: Wording) -> str:
    found = split.largest
    if found is None:
        return UNKNOWN
    label = stage_label(inputs, found[0]) if found[0] in inputs.universe.segments else say("changes.other")
    return f"{label} {change(found[1], 2)}"


def _told_apart(inputs: WeeklyInputs, changes: Changes, say: Wording) -> tuple[Block, ...]:
    """Say of which themes the last report's own week reads otherwise now."""
    apart = [
        say(
            "changes.told",
            theme=label_of_theme(inputs, result),
            told=change(split.told, 2),
            now=change(split.recomputed, 2),
        )
        for result in inputs.themes
        if (split := changes.splits.get(result.theme.key)) is not None
        and abs(split.told - split.recomputed) >= TOLD_APART
    ]
    if not apart:
        return ()
    return (Paragraph(say("changes.told_apart", themes=say.listed(apart)), "note"),)


def _moves(inputs: WeeklyInputs, changes: Changes, say: Wording) -> list[Block]:
    """Return the entries and exits of themes, then those of screens, each with the rule that moved it."""
    themes, screens = changes.differences.moves, changes.differences.screens
    labels = {each.theme.key: label_of_theme(inputs, each) for each in inputs.themes}
    blocks: list[Block] = []
    name, way, rule = (Column(say(each), "text") for each in ("column.name", "column.change", "changes.rule"))
    if themes:
        of_themes: list[tuple[Cell, ...]] = [
            (
                each.symbol,
                labels[each.where],
                _way(each, say),
                each.then,
                each.now,
                _why(inputs, each, say),
            )
            for each in themes[:SHOWN]
        ]
        weights = (Column(say("changes.then"), "share"), Column(say("changes.now"), "share"))
        columns: tuple[Column, ...] = (name, Column(say("column.portfolio"), "text"), way, *weights, rule)
        blocks.append(_folded("changes.theme_moves", columns, of_themes, len(themes), say))
    if screens:
        of_screens: list[tuple[Cell, ...]] = [
            (each.symbol, screen_label(inputs, each.where), _way(each, say), _why(inputs, each, say))
            for each in screens[:SHOWN]
        ]
        short = (name, Column(say("changes.screen"), "text"), way, rule)
        blocks.append(_folded("changes.screen_moves", short, of_screens, len(screens), say))
    return blocks


def _folded(
    key: str, columns: tuple[Column, ...], rows: Sequence[tuple[Cell, ...]], of: int, say: Wording
) -> Details:
    """Return the rows under a sentence with their number, and how many more there are."""
    file = "moves.csv" if key.endswith("moves") else "run.json"
    note = say("changes.more", n=of - len(rows), file=file) if of > len(rows) else ""
    return Details(say.count(key, of), (Table("", columns, (Rows(tuple(rows)),), note=note),))


def _way(move: Move, say: Wording) -> str:
    return say("changes.entered") if move.entered else say("changes.left")


def _why(inputs: WeeklyInputs, move: Move, say: Wording) -> str:
    """Return the rule that moved a name; an entry's is the one that kept it out before."""
    reason = told(inputs, move.reason)
    return say("changes.before", reason=reason) if move.earlier else reason


def _restated(inputs: WeeklyInputs, changes: Changes, say: Wording) -> tuple[Block, ...]:
    """Return the stored prices that say something else now, those with the largest changes first."""
    if changes.restated is None:
        return (Paragraph(say("changes.other_source"), "note"),)
    if not changes.restated:
        return ()

    def size(each: Restated) -> tuple[float, str]:
        return (-abs(each.largest) if is_known(each.largest) else 0.0, each.symbol)

    rows: list[tuple[Cell, ...]] = [
        (
            named(inputs, each.symbol),
            each.sessions,
            each.added,
            each.withdrawn,
            each.first,
            each.last,
            change(each.largest, 2),
            say.listed([say.retell(name) for name in each.fields]),
        )
        for each in sorted(changes.restated, key=size)[:SHOWN]
    ]
    columns = (
        Column(say("column.name"), "name"),
        Column(say("changes.sessions"), "count"),
        Column(say("changes.added"), "count"),
        Column(say("changes.withdrawn"), "count"),
        Column(say("changes.first_session"), "date"),
        Column(say("changes.last_session"), "date"),
        Column(say("changes.largest_close"), "written"),
        Column(say("changes.fields"), "text"),
    )
    return (_folded("changes.restated", columns, rows, len(changes.restated), say),)


def _rules(inputs: WeeklyInputs, changes: Changes, say: Wording) -> tuple[Block, ...]:
    """Return the rules, settings and versions that differ."""
    found = changes.differences
    blocks: list[Block] = []
    if not found.rules_known:
        blocks.append(Paragraph(say("changes.rules_unknown"), "note"))
    labels = {each.theme.key: label_of_theme(inputs, each) for each in inputs.themes}
    if found.new_themes:
        words = say("changes.new_themes", themes=say.listed([labels[each] for each in found.new_themes]))
        blocks.append(Paragraph(words, "note"))
    if found.gone_themes:
        blocks.append(
            Paragraph(say("changes.gone_themes", themes=say.listed(list(found.gone_themes))), "note")
        )
    if found.rules:
        rows: list[tuple[Cell, ...]] = [
            (
                _subject(inputs, each, say),
                _field(each, say),
                _side(inputs, each, each.then, say),
                _side(inputs, each, each.now, say),
            )
            for each in found.rules[:SHOWN]
        ]
        columns = (
            Column(say("changes.of"), "text"),
            Column(say("changes.what"), "text"),
            Column(say("changes.then"), "text"),
            Column(say("changes.now"), "text"),
        )
        blocks.append(_folded("changes.rules", columns, rows, len(found.rules), say))
    return tuple(blocks)


def _subject(inputs: WeeklyInputs, rule: RuleChange, say: Wording) -> str:
    """Return what a rule is of, as a reader calls it."""
    universe = inputs.universe
    if rule.kind == "screen" and rule.key in universe.screens:
        return screen_label(inputs, rule.key)
    if rule.kind == "theme" and rule.key in universe.themes:
        theme = universe.themes[rule.key]
        return theme.label_ja if inputs.language == "ja" else theme.label
    if rule.kind == "run":
        return say("changes.universe") if rule.key else say("changes.settings")
    return rule.key


def _field(rule: RuleChange, say: Wording) -> str:
    return (
        say.retell(rule.field.removeprefix("rule.").replace("_", " "))
        if rule.field
        else say("changes.itself")
    )


def _side(inputs: WeeklyInputs, rule: RuleChange, text: str, say: Wording) -> str:
    """Return one side of a rule, cut where it would be a paragraph; what a universe's file says in codes stays so."""
    if rule.field == "purity" and text:
        return say(f"purity.{text}")
    if rule.kind == "instrument" and rule.field == "china_dependence" and text:
        return say(f"china_dependence.{text}")
    if rule.kind == "screen" and rule.field == "rules":
        text = "; ".join(_described(each) for each in text.split("; ")) if text else text
    words = (
        told(inputs, text.replace("_", " ") if rule.field == "method" else text) if _is_prose(rule) else text
    )
    return (words if len(words) <= LONGEST else words[: LONGEST - 1] + "…") or UNKNOWN


def _is_prose(rule: RuleChange) -> bool:
    """Say whether a rule is a sentence or a label and no code of the universe's files."""
    return rule.kind == "run" or rule.field in ("", *PROSE)


def _described(text: str) -> str:
    """Return a screen's rule in words, as it is written where nothing is known of it."""
    try:
        return describe(parse_rule(text))
    except UserError:
        return text


def _passed_over(each: PassedOver, say: Wording) -> Paragraph:
    return Paragraph(say(f"passed_over.{each.why}", path=each.path), "warning")


def against_last_report(inputs: WeeklyInputs, result: ThemeResult, say: Wording) -> tuple[Block, ...]:
    """Return a theme's sentence on what changed against the last report, nothing where there is none."""
    changes = inputs.changes
    if changes is None:
        return ()
    found = next((each for each in changes.differences.themes if each.theme == result.theme.key), None)
    if found is None:
        return ()
    entered, left = (
        [each.symbol for each in found.moves if each.entered == wanted] for wanted in (True, False)
    )
    words = [
        say("changes.theme", day=say.prose_day(changes.previous.as_of), turnover=percent(found.turnover))
    ]
    if found.moves:
        names = {"entered": say.listed(some(entered, say)) or "0", "left": say.listed(some(left, say)) or "0"}
        words.append(say("changes.theme_moves_of", **names))
    if found.bound:
        words.append(say("changes.bound", limits=say.reasons([told(inputs, each) for each in found.bound])))
    if found.loosened:
        limits = say.reasons([told(inputs, each) for each in found.loosened])
        words.append(say("changes.loosened", limits=limits))
    return (Paragraph(say.joined(words), "note"),)
