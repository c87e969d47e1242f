"""Values as a page writes them: numbers, times, sizes, and texts of data that may hold anything."""

from __future__ import annotations

from mlops_compile.ir.value import Map, Value, canonical, found_at


def visible(text: str) -> str:
    """A text in one line, without characters that are not to be seen."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def short(text: str, most: int = 28) -> str:
    """The same, cut to so many characters."""
    line = visible(text)
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def number(value: Value, digits: int = 4) -> str:
    """A number in four digits, or as many as it has before the point; a dash for none."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"
    return "-" if value is None else value_text(value)


def value_text(value: Value) -> str:
    """A value of a config: a text as it is, all else as JSON."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return visible(canonical(value).decode("utf-8"))


def plain_key(name: str) -> str:
    """A dotted key without what all keys of models begin with."""
    return visible(name.removeprefix("model.params.").removeprefix("model."))


def seconds_text(seconds: float) -> str:
    """`0.31 s`, `42.0 s`, `2 min 5 s`, `3 h 20 min`."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    return f"{seconds:.1f} s" if round(seconds) < 60 else duration(seconds)


def duration(seconds: float) -> str:
    """`8 s`, `2 min 5 s`, `3 h 20 min`."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def memory_text(count: int) -> str:
    """Bytes in MiB; a dash where they are not known."""
    return f"{count / 2**20:,.0f} MiB" if count else "-"


def counted(count: int, name: str) -> str:
    """`1 step`, `2,000 steps`."""
    return f"{count:,} {name if count == 1 else name + 's'}"


def interval(value: object) -> str:
    """`0.91 to 0.95`; a dash for none."""
    if not isinstance(value, Map):
        return "-"
    return f"{number(value['low'])} to {number(value['high'])}"


def at(value: Value, *path: str) -> Value:
    """The part of a value at a path; None where there is none."""
    return found_at(value, path)


def map_at(value: Value, *path: str) -> Map:
    """The map at a path; an empty one where there is none."""
    found = at(value, *path)
    return found if isinstance(found, Map) else Map()


def floats(value: Value) -> list[float]:
    """The numbers of a list; none where it is no list."""
    held = value if isinstance(value, tuple) else ()
    return [float(item) for item in held if isinstance(item, int | float)]


def error_text(text: str) -> str:
    """What was wrong, with the help behind a dash."""
    return visible(text.replace("\n  help: ", " – "))
