"""A bar and the counts at the bottom of a terminal, redrawn by rich; lines scroll by above it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from promptstudio.evals.totals import Totals
from promptstudio.output.terminal import safe_text

if TYPE_CHECKING:  # the view imports this module when it has a terminal
    from promptstudio.cli.eval_view import Pace

_STYLES = {"pass": "green", "fail": "bold red", "error": "yellow", "unscored": "magenta", "skipped": "dim"}


class LiveBar:
    """Shown until `stop`. Set `totals`; it is drawn eight times a second."""

    def __init__(self, stream: TextIO, pace: Pace, *, color: bool) -> None:
        self.totals = Totals()
        self.pace = pace
        self._console = Console(file=stream, no_color=not color, highlight=False, markup=False, emoji=False)
        self._live = Live(self, console=self._console, transient=True, refresh_per_second=8, redirect_stdout=False)
        self._live.start()

    def stop(self) -> None:
        self._live.stop()

    def print(self, text: str, *, label: str = "", style: str = "") -> None:
        """Print a line above the bar; a long one is broken by the terminal, so that it can be copied whole."""
        line = Text(f"{label}  " if label else "", style=f"bold {style}".strip())
        line.append(safe_text(text), style="not bold default" if label else "")
        self._console.print(line, soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _bar_line(self.pace, options.max_width)
        yield _count_line(self.totals, options.max_width)


def _bar_line(pace: Pace, width: int) -> Text:
    from promptstudio.cli.eval_view import pace_text

    words = pace_text(pace)
    room = min(40, width - len(words) - 3)
    line = Text(no_wrap=True, overflow="ellipsis")
    if pace.whole and room >= 8:
        full = min(room, round(room * pace.done / pace.whole))
        line.append("━" * full, style="green").append("━" * (room - full), style="dim").append("  ")
    return line.append(words)


def _count_line(totals: Totals, width: int) -> Text:
    from promptstudio.cli.eval_view import cost_text

    line = Text(no_wrap=True, overflow="ellipsis")
    for outcome, count in totals.counts.items():
        name = outcome if width >= 60 else {"unscored": "unsc", "skipped": "skip", "error": "err"}.get(outcome, outcome)
        line.append(f"{count:,} {name}  ", style=_STYLES[outcome] if count else "dim")
    return line.append(cost_text(totals))
