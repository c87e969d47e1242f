"""The locked requirements are whole: pip asks for each extra that a locked package asks for."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mlops_compile.emit.render import environment
from mlops_compile.emit.requirements import FILE, pins_of, table
from tests import generate_hashes

LOCKED = Path(__file__).resolve().parent.parent / "requirements"


def _pins(name: str) -> dict[str, Requirement]:
    lines = (LOCKED / name).read_text("utf-8").splitlines()
    texts = (line.removesuffix("\\").strip() for line in lines if line[:1].isalnum())
    pins = (Requirement(text) for text in texts)
    return {
        canonicalize_name(pin.name): pin for pin in pins if not pin.marker or pin.marker.evaluate()
    }


def _asks(pin: Requirement) -> list[Requirement]:
    """What a locked package needs here; nothing where it, in that version, is not installed."""
    try:
        if version(pin.name) not in pin.specifier:
            return []
        found = [Requirement(text) for text in requires(pin.name) or ()]
    except PackageNotFoundError:
        return []
    return [
        asked
        for asked in found
        if not asked.marker
        or any(asked.marker.evaluate({"extra": extra}) for extra in ("", *pin.extras))
    ]


@pytest.mark.skipif(not LOCKED.is_dir(), reason="away from the checkout there are none")
def test_the_digests_that_bundles_carry_are_those_of_the_lock() -> None:
    assert generate_hashes.text() == FILE.read_text("ascii"), "run `nox -s hashes`"
    assert all(item["hashes"] for item in table().values())


def _installed() -> list[tuple[str, str]]:
    return [(name, version(name)) for name in ("click", "h11", "msgspec", "uvicorn")]


def test_digests_are_for_all_or_for_none() -> None:
    """pip refuses a file in which some have none."""
    text = _text(_installed())
    assert text.count("==") == 6 and text.count(" --hash=sha256:") > 5
    assert 'colorama==0.4.6 ; sys_platform == "win32" \\\n' in text
    mixed = _text([*_installed(), ("numpy", "1.0")])
    assert "--hash" not in mixed and "none are known of numpy==1.0, and pip takes all" in mixed


def _text(versions: list[tuple[str, str]]) -> str:
    template = environment().get_template("bundle/requirements.txt.jinja")
    return template.render(needs=pins_of(versions), what="this bundle needs")


@pytest.mark.skipif(not LOCKED.is_dir(), reason="away from the checkout there are none")
@pytest.mark.parametrize("name", ["main.txt", "test.txt", "dev.txt", "nox.txt", "servers.txt"])
def test_every_package_is_locked_with_the_extras_that_others_ask_for(name: str) -> None:
    """`pip install --require-hashes` refuses `coverage==7` where something asks for
    `coverage[toml]`; uv takes it."""
    pins = _pins(name)
    asks = [(pin, asked) for pin in pins.values() for asked in _asks(pin)]
    assert asks
    for pin, asked in asks:
        locked = pins.get(canonicalize_name(asked.name))
        assert locked, f"{pin.name} asks for {asked}, which {name} does not lock"
        assert asked.extras <= locked.extras, f"{pin.name} asks for {asked}, {name} has {locked}"
