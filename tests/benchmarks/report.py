"""The figures of a run: a table for people, JSON for machines."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured value, and the goal that it has if it has one."""

    name: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None
    note: str = ""

    def line(self) -> str:
        """The row of the table."""
        goal = f"{self.goal} {'met' if self.met else 'NOT MET'}" if self.goal else ""
        return f"  {self.name:46} {_digits(self.value):>10} {self.unit:12} {goal:20} {self.note}".rstrip()


def at_least(name: str, value: float, unit: str, goal: float, note: str = "") -> Figure:
    """A figure that is to be so large."""
    return Figure(name, value, unit, f"≥ {goal:g}", value >= goal, note)


def at_most(name: str, value: float, unit: str, goal: float, note: str = "") -> Figure:
    """A figure that is to be so small."""
    return Figure(name, value, unit, f"≤ {goal:g}", value <= goal, note)


@dataclass
class Report:
    """What a run found, printed as it is found."""

    machine: dict[str, Any]
    sections: dict[str, list[Figure]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, section: str, *figures: Figure) -> None:
        """Take figures down and print them."""
        if section not in self.sections:
            print(f"\n{section}", flush=True)
        self.sections.setdefault(section, []).extend(figures)
        for figure in figures:
            print(figure.line(), flush=True)

    def say(self, note: str) -> None:
        """Take a sentence down and print it."""
        self.notes.append(note)
        print(f"  {note}", flush=True)

    def write(self, path: Path) -> None:
        """Leave everything as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        sections = {name: [asdict(figure) for figure in figures] for name, figures in self.sections.items()}
        found = {"machine": self.machine, "sections": sections, "notes": self.notes}
        path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def _digits(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 10 else f"{value:.3f}"
