"""Worker processes that stay from one run of the tests' process to the next."""

from __future__ import annotations

import os
import sys
from typing import ClassVar

from mlops_compile.execute.pool import Workers


class Warm(Workers):
    """Workers that stay when a run closes them, as those that a caller of the API keeps."""

    kept: ClassVar[dict[object, Warm]] = {}

    @classmethod
    def of(cls, count: int) -> Warm:
        """Those that were kept, where they would start as new ones do now."""
        about = {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        now = (count, tuple(sorted(about.items())), tuple(sys.path))
        if now not in cls.kept:
            cls.end()
            cls.kept[now] = cls(count)
        return cls.kept[now]

    @classmethod
    def end(cls) -> None:
        while cls.kept:
            super(Warm, cls.kept.popitem()[1]).close()

    def close(self) -> None:
        self.stop()
