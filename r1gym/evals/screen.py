"""What a person sees of an evaluation: how far it is, then the table of figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from r1gym.evals.evaluate import EvalReport, Progress
    from r1gym.evals.metrics import Estimate
    from r1gym.evals.regrade import Flip
    from r1gym.evals.sensitivity import Sensitivity

__all__ = ["EvalScreen", "figures_table", "flips_table", "wordings_table"]

LABELS = {
    "no_answer": "no answer",
    "truncated": "truncated",
    "ungradable": "ungradable",
    "mean_length": "mean length (tokens)",
}


class EvalScreen:
    """A bar with the time left on a terminal; elsewhere a line each batch. Call it with each ``Progress``."""

    def __init__(self, console: Console, name: str) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self._console = console
        self._name = name
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            TextColumn("elapsed"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(name, total=None, figures="")

    def __call__(self, progress: Progress) -> None:
        """Show how far it is."""
        parts = [f"pass@1 {progress.right:.3f}"] if progress.done else []
        if progress.tokens:
            parts.append(f"{progress.tokens / progress.seconds:,.0f} tokens/s")
        left = progress.seconds_left
        if progress.done < progress.tasks:
            parts.append("time left ?" if left is None else f"time left {clock(left)}")
        self._bar.update(self._task, total=progress.tasks, completed=progress.done, figures="  ".join(parts))
        if not self._console.is_terminal:
            head = f"{self._name} {progress.done}/{progress.tasks} tasks"
            if progress.done == progress.stored and progress.stored:
                head += " (stored by an earlier run)"
            self._console.print(" | ".join([head, *parts]), markup=False, soft_wrap=True)

    def __enter__(self) -> EvalScreen:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def figures_table(report: EvalReport, title: str) -> Table:
    """Every figure with its interval, and the tasks that it is over."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column(f"{report.level * 100:g} % interval", justify="right")
    table.add_column("tasks", justify="right")
    for name, each in report.figures.items():
        table.add_row(LABELS.get(name, name), *_cells(name, each), str(each.tasks))
    speed = report.tokens_per_second
    table.add_row("tokens/s", "all stored before" if speed is None else f"{speed:,.0f}", "", "")
    return table


def _cells(name: str, each: Estimate) -> tuple[str, str]:
    form = "{:.1f}" if name == "mean_length" else "{:.3f}"
    interval = "one task" if each.low is None else f"[{form}, {form}]".format(each.low, each.high)
    return form.format(each.value), interval


def wordings_table(found: Sensitivity, title: str) -> Table:
    """pass@1 in each wording, and how it moves with them."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("wording")
    table.add_column("pass@1", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, each in found.wordings.items():
        table.add_row(name, *_cells("pass@1", each))
    table.add_section()
    table.add_row("mean", f"{found.mean:.3f}", "")
    table.add_row("range", f"{found.range:.3f}", f"{found.lowest:.3f} to {found.highest:.3f}")
    table.add_row("standard deviation", f"{found.standard_deviation:.3f}", f"{found.by_chance:.3f} by chance alone")
    return table


def flips_table(flips: Sequence[Flip], samples: int) -> RenderableType:
    """Which verdicts changed, one row each."""
    from rich.table import Table
    from rich.text import Text

    if not flips:
        return Text(f"{samples} completions graded again: no verdict changed")
    title = f"{len(flips)} of {samples} verdicts changed"
    table = Table(title=title, title_justify="left", title_style="bold")
    for header in ("task", "sample", "was", "is", "extracted now", "reason now"):
        table.add_column(header, overflow="fold")
    for flip in flips:
        # Text, as a completion's own brackets are no markup.
        cells = (flip.task_id, str(flip.sample), flip.old.name, flip.new.name, flip.extracted[:80], flip.reason[:200])
        table.add_row(*map(Text, cells))
    return table
