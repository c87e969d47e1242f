"""`python -m mlops_compile`, and the console command `mlops-compile`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from mlops_compile.cli.main import run  # after start-up errors can be said

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
