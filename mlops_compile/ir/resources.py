"""Finds what ships beside the code: `conf/` and `templates/`, from a checkout or a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def resource(name: str) -> Path:
    """The directory of that name: inside the package (wheel), or beside it (checkout, editable).

    FileNotFoundError where neither is there, which means a broken installation.
    """
    for place in (_PACKAGE / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(
        f"{name}/ is not in this installation of mlops_compile; install it again"
    )


def package_text(place: str) -> str:
    """The text of a file that ships with an installed package, named as `package:path`."""
    from importlib.resources import files  # slow to import, and for plugins only

    package, _, path = place.partition(":")
    return files(package).joinpath(path).read_text("utf-8")
