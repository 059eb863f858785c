"""What an example asserts: a claim of the course, the band its number must lie in, and the number measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Claim:
    """One line of the table.

    Attributes:
        row: the ids in the course's inventory that it reproduces.
        text: the claim.
        measured: a number, or whether the claim holds.
        low, high: the band; both True for a claim that just has to hold.
    """

    row: str
    text: str
    measured: Any
    low: float
    high: float

    @property
    def ok(self) -> bool:
        return bool(self.low <= self.measured <= self.high)  # False for NaN

    @property
    def band(self) -> str:
        if isinstance(self.measured, bool):
            return "holds"
        if self.low == float("-inf"):
            return f"<= {self.high:.4g}"
        if self.high == float("inf"):
            return f">= {self.low:.4g}"
        return f"{self.low:.6g} .. {self.high:.6g}"

    def __str__(self) -> str:
        value = str(self.measured) if isinstance(self.measured, bool) else f"{self.measured:.6g}"
        return f"{'ok' if self.ok else 'FAILED':<7}{self.row:<12}{self.text:<84}{self.band:>22}{value:>14}"


@dataclass
class Report:
    """The claims of an example, and how to draw its figure."""

    claims: list[Claim] = field(default_factory=list)
    figure: Callable[[], Any] | None = None

    def between(self, row: str, text: str, measured: float, low: float, high: float) -> None:
        """``low <= measured <= high``."""
        self.claims.append(Claim(row, text, float(measured), low, high))

    def at_most(self, row: str, text: str, measured: float, bound: float) -> None:
        """``measured <= bound``."""
        self.between(row, text, measured, float("-inf"), bound)

    def at_least(self, row: str, text: str, measured: float, bound: float) -> None:
        """``measured >= bound``."""
        self.between(row, text, measured, bound, float("inf"))

    def near(self, row: str, text: str, measured: float, expected: float, rel: float = 0.0, tol: float = 0.0) -> None:
        """``measured`` differs from ``expected`` by at most ``tol`` plus ``rel`` of it."""
        slack = tol + rel * abs(expected)
        self.between(row, text, measured, expected - slack, expected + slack)

    def holds(self, row: str, text: str, truth: Any) -> None:
        """``truth``."""
        self.claims.append(Claim(row, text, bool(truth), True, True))
