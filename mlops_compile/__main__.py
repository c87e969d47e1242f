"""`python -m mlops_compile`, and the console command `mlops-compile`."""

from __future__ import annotations

import gc
import sys

# When to look for cycles. Nearly all that is made lives as long as the process, and looking at it
# again and again took a sixth of the time of large plans.
_SELDOM = (200_000, 50, 100)


def main() -> None:
    """Run the command line and exit with its code."""
    # Imported after start-up errors can be said; what a shell asks for on Tab, without the rest.
    if sys.argv[1:2] in (["-sc"], ["--shell-completion"]):
        from mlops_compile.cli import completion

        sys.exit(completion.run(sys.argv[1:]))
    from mlops_compile.cli.main import run
    from mlops_compile.cli.streams import own_streams

    gc.set_threshold(*_SELDOM)
    own_streams()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
