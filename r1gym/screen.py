"""What a person sees of a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol

__all__ = ["LiveScreen", "PlainScreen", "Screen", "make_screen"]

SHOWN = 240
"""Characters of a completion that are shown."""


class Screen(Protocol):
    """What a run tells a person."""

    def stage(self, name: str, steps: int, done: int = 0) -> None:
        """A stage of ``steps`` steps begins; ``done`` of them were made before."""
        ...

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Step ``step`` (from 0) is done; ``values`` are its figures, by the names of metrics.jsonl."""
        ...

    def completions(self, best: str, worst: str) -> None:
        """The last group's best and worst completion."""
        ...

    def note(self, text: str) -> None:
        """A line worth keeping on the screen."""
        ...

    def show(self, renderable: Any) -> None:
        """Print a rich renderable, for example a table."""
        ...

    def __enter__(self) -> Screen: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


FIGURES = {
    "loss": ("loss", "{:.4f}"),
    "reward/mean": ("reward", "{:.3f}"),
    "eval/pass@1": ("held-out pass@1", "{:.3f}"),
    "length/mean": ("length", "{:.1f} tokens"),
    "parity/mean": ("parity", "{:.1e} nats"),
    "tokens/s": ("speed", "{:,.0f} tokens/s"),
}
"""Figures shown, in this order: metric → (label, format)."""


class _Pace:
    """Time left of a stage, from the steps made in this process."""

    def __init__(self) -> None:
        self.steps, self.done, self.first, self.began = 0, 0, 0, time.monotonic()

    def begin(self, steps: int, done: int) -> None:
        self.steps, self.done, self.first, self.began = steps, done, done, time.monotonic()

    @property
    def left(self) -> str:
        made = self.done - self.first
        if not made:
            return "?"
        seconds = (time.monotonic() - self.began) / made * (self.steps - self.done)
        minutes, seconds = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class PlainScreen:
    """Lines for a file or a pipe: about twenty a stage, each whole."""

    def __init__(self, quiet: bool = False) -> None:
        from rich.console import Console

        self._console = Console(width=110, soft_wrap=True, highlight=False, quiet=quiet)
        self._pace = _Pace()
        self._name = ""
        self._latest: dict[str, float] = {}

    def stage(self, name: str, steps: int, done: int = 0) -> None:
        """Start counting a stage."""
        self._name, self._latest = name, {}
        self._pace.begin(steps, done)
        self._print(f"{name}: {steps} steps" + (f", {done} of them made before" if done else ""))

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Print every twentieth part of a stage."""
        self._latest.update(values)
        self._pace.done = step + 1
        if (step + 1) % max(self._pace.steps // 20, 1) == 0 or step + 1 == self._pace.steps:
            figures = [
                f"{label} {form.format(self._latest[name])}"
                for name, (label, form) in FIGURES.items()
                if name in self._latest
            ]
            head = f"{self._name} {step + 1}/{self._pace.steps}"
            self._print(" | ".join([head, *figures, f"left {self._pace.left}"]))

    def completions(self, best: str, worst: str) -> None:
        """Not shown: completions.jsonl holds them all."""

    def note(self, text: str) -> None:
        """Print the line."""
        self._print(text)

    def show(self, renderable: Any) -> None:
        """Print it, without colours where the output is not a terminal."""
        self._console.print(renderable)
        sys.stdout.flush()

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False)
        sys.stdout.flush()

    def __enter__(self) -> PlainScreen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class LiveScreen:
    """One panel that is drawn anew while a run goes on; finished stages and notes stay above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(highlight=False)
        self._pace = _Pace()
        self._name = ""
        self._latest: dict[str, float] = {}
        self._pair = ("", "")
        # Last, because it asks for its first panel at once.
        self._live = Live(console=self._console, refresh_per_second=4, get_renderable=self._panel, transient=True)

    def stage(self, name: str, steps: int, done: int = 0) -> None:
        """Start a new panel."""
        self._name, self._latest, self._pair = name, {}, ("", "")
        self._pace.begin(steps, done)

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Update the figures; one that a step does not give keeps its last value."""
        self._latest.update(values)
        self._pace.done = step + 1

    def completions(self, best: str, worst: str) -> None:
        """Show the pair below the figures."""
        self._pair = (best, worst)

    def note(self, text: str) -> None:
        """Print above the panel."""
        self._console.print(text, markup=False)

    def show(self, renderable: Any) -> None:
        """Print above the panel."""
        self._console.print(renderable)

    def _panel(self) -> Any:
        from rich.console import Group
        from rich.panel import Panel
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        if not self._name:
            return Text("")
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(self._name, style="bold"),
            ProgressBar(total=max(self._pace.steps, 1), completed=self._pace.done, width=30),
            f"step {self._pace.done}/{self._pace.steps}",
            f"time left {self._pace.left}",
        )
        figures = Table.grid(padding=(0, 2))
        for name, (label, form) in FIGURES.items():
            if name in self._latest:
                value = form.format(self._latest[name])
                if name == "eval/pass@1" and "eval/pass@1_low" in self._latest:
                    value += f"  [{self._latest['eval/pass@1_low']:.3f}, {self._latest['eval/pass@1_high']:.3f}]"
                figures.add_row(Text(label, style="dim"), Text(value))
        parts: list[Any] = [head, figures]
        for label, style, text in zip(("best", "worst"), ("green", "red"), self._pair, strict=True):
            if text:
                shown = _harmless(text[:SHOWN]) + ("…" if len(text) > SHOWN else "")
                parts.append(Text.assemble((f"{label:6}", style), shown))
        return Panel(Group(*parts), title="r1gym", title_align="left", border_style="dim")

    def __enter__(self) -> LiveScreen:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()


def _harmless(text: str) -> str:
    """What a model wrote, without the characters that would move the cursor or that a terminal cannot encode."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def make_screen(quiet: bool = False) -> Screen:
    """The live display where stdout is a terminal, else plain lines; ``quiet`` prints nothing at all."""
    if quiet:
        return PlainScreen(quiet=True)
    return LiveScreen() if sys.stdout.isatty() else PlainScreen()
