"""The process's own streams: one that is closed swallows, and an answer that cannot be written is
told as that, whatever was at work."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

from mlops_compile.ir.problem import UsageError, problem


class Answers(io.TextIOWrapper):
    """Stdout. UsageError where it cannot be written: its disk is full."""

    def write(self, text: str, /) -> int:
        """The number of characters."""
        try:
            return super().write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._refused(error) from None

    def flush(self) -> None:
        """Write what is held back."""
        try:
            super().flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> UsageError:
        nowhere = os.open(os.devnull, os.O_WRONLY)  # takes what is held back still
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        return UsageError([problem("output", f"stdout cannot be written: {error.strerror}")])


def own_streams() -> None:
    """Make the streams of this process so. What is printed to one that is closed must not come into
    a file that gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8"))
    given: Any = sys.stdout
    how = {name: getattr(given, name) for name in _KEPT}
    sys.stdout = Answers(given.detach(), **how)


_KEPT = ("encoding", "errors", "line_buffering", "write_through")
