"""Figures: samples with their median, a target to meet, ratios between two of them, and the table that shows it all."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Unit = Literal["s", "ms", "MB", "/s", "times", "x"]

_DIGITS: dict[Unit, int] = {"s": 2, "ms": 0, "MB": 1, "/s": 2, "times": 0, "x": 2}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One thing measured several times in one run.

    `target` is what the median has to stay below. `capped` of the rounds were given up: their samples are how long that
    took, the true values are larger.
    """

    name: str
    unit: Unit
    samples: tuple[float, ...]
    target: float | None = None
    capped: int = 0

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError(f"{self.name}: nothing was measured")

    @property
    def median(self) -> float:
        """The middle sample, or the mean of the two in the middle."""
        return statistics.median(self.samples)

    @property
    def is_met(self) -> bool | None:
        """Whether the median is below the target; None without one. What was capped is never met."""
        return None if self.target is None else not self.capped and self.median < self.target

    def as_json(self) -> dict[str, Any]:
        """Returns everything about it, samples in the order they were taken."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.samples),
            "max": max(self.samples),
            "n": len(self.samples),
            "samples": list(self.samples),
            "capped": self.capped,
            "target": self.target,
            "met": self.is_met,
        }


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How many times the median of one figure another one's is; both from the same run.

    `at_most` or `at_least` is the target. A capped numerator makes it a lower bound.
    """

    name: str
    numerator: Figure
    denominator: Figure
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        if self.numerator.unit != self.denominator.unit:
            raise ValueError(f"{self.name}: {self.numerator.unit} cannot be divided by {self.denominator.unit}")

    @property
    def value(self) -> float:
        """The ratio of the medians."""
        return self.numerator.median / self.denominator.median if self.denominator.median else math.inf

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.at_most is not None:
            return self.value <= self.at_most and not self.numerator.capped
        if self.at_least is not None:
            return self.value >= self.at_least and not self.denominator.capped
        return None

    def as_json(self) -> dict[str, Any]:
        """Returns the ratio and which figures it is of."""
        return {
            "name": self.name,
            "value": self.value,
            "numerator": self.numerator.name,
            "denominator": self.denominator.name,
            "at_most": self.at_most,
            "at_least": self.at_least,
            "met": self.is_met,
        }


@dataclass(kw_only=True)
class Report:
    """What one run found, in the order it is shown. `facts` says on what machine, with which programs."""

    facts: dict[str, str]
    figures: list[Figure] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    timeline: list[tuple[float, str]] = field(default_factory=list)

    def figure(self, name: str) -> Figure:
        """Returns the figure of that name. Raises KeyError if it was not measured."""
        for one in self.figures:
            if one.name == name:
                return one
        raise KeyError(name)

    @property
    def missed(self) -> list[str]:
        """Names of the targets that were not met."""
        figures = [one.name for one in self.figures if one.is_met is False]
        return figures + [one.name for one in self.ratios if one.is_met is False]

    def as_json(self) -> dict[str, Any]:
        """Returns everything, for a file."""
        return {
            "schema": 1,
            "facts": self.facts,
            "figures": [one.as_json() for one in self.figures],
            "ratios": [one.as_json() for one in self.ratios],
            "timeline": [{"at_s": round(at_s, 3), "what": what} for at_s, what in self.timeline],
        }

    def as_text(self) -> str:
        """Returns the table for people; a target that was missed is marked."""
        parts = [f"{name}: {value}" for name, value in self.facts.items()]
        rows = [("measured", "median", "min", "max", "n", "target", ""), *map(_figure_row, self.figures)]
        parts += ["", *aligned(rows)]
        if self.ratios:
            parts += ["", *aligned([("ratio of the medians", "value", "target", ""), *map(_ratio_row, self.ratios)])]
        if self.timeline:
            parts += ["", "one cold start, seconds since `ibkr-tools up`:"]
            parts += [f"  {at_s:5.2f}  {what}" for at_s, what in self.timeline]
        return "\n".join(parts) + "\n"


def month_figures(document: dict[str, Any]) -> list[Figure]:
    """Returns what `--month` has written about memory: the servers and the watchdog are one process, growth counts."""
    figures = []
    for month in document["months"]:
        name = f"after {month['days']:g} days, {month['tier']} tier"
        figures.append(Figure(name=f"{name}: resident", unit="MB", samples=(month["memory_end_mb"],)))
        grown_mb = month["memory_end_mb"] - month["memory_begin_mb"]
        figures.append(Figure(name=f"{name}: grown by", unit="MB", samples=(grown_mb,)))
    return figures


def number(value: float, unit: Unit) -> str:
    """Returns a value with as many digits as the unit deserves, and the unit."""
    text = f"{value:.{_DIGITS[unit]}f}"
    return f"{text}x" if unit == "x" else f"{text} {unit}"


def _mark(met: bool | None) -> str:
    return "" if met is None else "ok" if met else "MISSED"


def _figure_row(one: Figure) -> tuple[str, ...]:
    at_least = ">" if one.capped else ""
    return (
        one.name,
        at_least + number(one.median, one.unit),
        (">" if one.capped == len(one.samples) else "") + number(min(one.samples), one.unit),
        at_least + number(max(one.samples), one.unit),
        str(len(one.samples)),
        "" if one.target is None else f"< {one.target:g} {one.unit}",
        _mark(one.is_met),
    )


def _ratio_row(one: Ratio) -> tuple[str, ...]:
    limit = f"<= {one.at_most:g}x" if one.at_most is not None else ""
    limit = f">= {one.at_least:g}x" if one.at_least is not None else limit
    return (one.name, (">" if one.numerator.capped else "") + number(one.value, "x"), limit, _mark(one.is_met))


def aligned(rows: Iterable[Sequence[str]], *, numbers_last: bool = False) -> list[str]:
    """Lays rows out in columns: the first and the last one to the left, the numbers between them to the right.

    With `numbers_last` the last column is one of numbers too.
    """
    table = [list(row) for row in rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    texts = {0} if numbers_last else {0, len(widths) - 1}
    lines = []
    for row in table:
        cells = [
            cell.ljust(width) if column in texts else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
