"""Scores the rows of a file: `python batch.py IN -o OUT`. Files are csv, JSON lines or Parquet."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

import msgspec

# Bytecode beside the bundle's files would change the bundle, which is named by its digest.
sys.dont_write_bytecode = True

import bundle  # noqa: E402

HERE = Path(__file__).resolve().parent
# Nothing else of a bundle is run before it is known to be whole: imports stand below that.
try:
    bundle.read(HERE)
except bundle.Corrupt as error:
    sys.exit(f"error: {error}; nothing is written")

from columns import OUTPUTS, QUICK, Unseen, are_numbers, features, of_records  # noqa: E402
from from_csv import delimited  # noqa: E402
from from_jsonl import json_lines  # noqa: E402
from from_parquet import parquet  # noqa: E402
from reading import Odd, Piece, Row, Source, Unfit  # noqa: E402
from proof import Unproved, proved  # noqa: E402
from scorer import Scorer  # noqa: E402
from scorer import features as features_of  # noqa: E402
from writing import TAKEN, WRITERS, Unwritten, Whole  # noqa: E402

SORTS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet"}
DONE, UNPROVED, USAGE, UNFIT, ASIDE, UNWRITTEN = 0, 1, 2, 3, 4, 5
# So many rows that do not fit are told before nothing is written.
MOST_TOLD = 10
NO_NUMBER = "the values are too large for this model: its answer is no number"
EXITS = """exit codes: 0 all rows are scored; 1 a file of the bundle is not the one
that was packaged, or this host computes other answers than the one that packaged (proof.json)
and --unproved is not given; 2 usage; 3 IN cannot be read, or a row does not fit, and nothing
is written; 4 written, and rows that do not fit are set aside; 5 OUT cannot be written; 130, 143
interrupted, and nothing is written."""


class Stopped(Exception):
    """Rows do not fit, and none is to be set aside."""

    def __init__(self, rows: list[Row]) -> None:
        super().__init__()
        self.rows = rows


class Progress:
    """A bar on standard error where that is a terminal; nothing elsewhere."""

    def __init__(self, size: int, quiet: bool) -> None:
        self.size, self.quiet = size, quiet
        self.shown = sys.stderr.isatty() and not quiet
        self.start = self.last = time.monotonic()

    def __call__(self, done: int, rows: int) -> None:
        now = time.monotonic()
        if not self.shown or now - self.last < 0.1:
            return
        self.last = now
        part = min(done / self.size, 1.0) if self.size else 0.0
        bar = f"[{'#' * int(30 * part):<30}] {part:4.0%}  " if self.size else ""
        speed = rows / (now - self.start)
        print(f"\r{bar}{rows:,} rows  {speed:,.0f}/s ", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Take the bar away."""
        if self.shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def scored(
    piece: Piece, scorer: Scorer, unseen: Unseen
) -> tuple[list[int], list[float], list[Row]]:
    """The numbers of rows with their scores, which lie one row behind the other; and the rows that
    do not fit."""
    if QUICK:
        try:
            columns = piece.columns()
            scores = scorer.flat(features(piece.count, columns), piece.count)
            if are_numbers(scores):
                unseen(columns)
                return list(range(piece.first, piece.first + piece.count)), scores, []
        except Odd:
            pass  # the rows say what it is
    return one_by_one(piece, scorer, unseen)


def one_by_one(
    piece: Piece, scorer: Scorer, unseen: Unseen
) -> tuple[list[int], list[float], list[Row]]:
    """The same, row by row."""
    numbers, found, unfit = [], [], []
    for number, row in enumerate(piece.rows(), start=piece.first):
        if row.record is not None:
            scores, problem = of_record(row.record, scorer)
            if not problem:
                unseen(of_records([row.record]))
                numbers.append(number)
                found += scores
                continue
            row.problem = problem
        unfit.append(row)
    return numbers, found, unfit


def of_record(record: object, scorer: Scorer) -> tuple[list[float], str]:
    """The scores of a record, or why there are none."""
    scores = scorer.scores([record])[0]
    return (scores, "") if are_numbers(scores) else ([], NO_NUMBER)


def score_all(source: Source, scorer: Scorer, out, aside: Whole | None, told: Progress) -> tuple[int, int]:
    """Write the answers of all rows; how many rows there are, and how many are set aside. Stopped
    where a row does not fit and there is no place for it."""
    rows = odd = 0
    unseen = Unseen()
    for piece in source.pieces:
        numbers, scores, unfit = scored(piece, scorer, unseen)
        if unfit and aside is None:
            raise Stopped(unfit)
        out.write(numbers, scores, kept_with(piece, numbers))
        for row in unfit:
            told_of = {"line": row.line, "problem": row.problem, "row": row.holds}
            aside.write(msgspec.json.encode(told_of) + b"\n")
        rows, odd = rows + piece.count, odd + len(unfit)
        told(piece.done, rows)
    told.end()
    for sentence in () if told.quiet else unseen.sentences():
        print(sentence, file=sys.stderr)
    return rows, odd


def kept_with(piece: Piece, numbers: list[int]) -> list[list]:
    """The values of columns that are kept, of the rows of these numbers."""
    columns = piece.kept()
    if len(numbers) == piece.count:
        return columns
    return [[column[number - piece.first] for number in numbers] for column in columns]


def run(options: argparse.Namespace) -> int:
    """Score a file; the exit code. Whatever happens, no file is half-written."""
    sort, written = options.from_, options.to
    files: list[Whole] = []
    try:
        source = opened(options, sort)
        if source.ignored:
            said = ", ".join(map(repr, source.ignored))
            print(f"columns that the model does not take: {said}", file=sys.stderr)
        files.append(Whole(options.out))
        out = WRITERS[written](files[0], source)
        if options.aside:
            files.append(Whole(options.aside))
        told = Progress(source.size, options.quiet)
        try:
            aside = files[1] if options.aside else None
            scorer, _ = proved(HERE, options.unproved)
            rows, odd = score_all(source, scorer, out, aside, told)
        finally:
            told.end()
        out.end()
        for file in reversed(files):
            file.keep()
    finally:
        for file in files:
            file.drop()
    if not options.quiet:
        more = f", {odd:,} set aside in {options.aside}" if odd else ""
        print(f"{rows - odd:,} rows scored in {options.out}{more}", file=sys.stderr)
    return ASIDE if odd else DONE


def opened(options: argparse.Namespace, sort: str) -> Source:
    """What is to be read; Unfit where it cannot be."""
    path = None if str(options.file) == "-" else options.file
    try:
        if sort == "parquet":
            return parquet(path, options.keep)
        stream = open(0 if path is None else path, "rb", buffering=0)
        size = path.stat().st_size if path is not None else 0
    except OSError as error:
        raise Unfit(f"it cannot be read: {error.strerror or error}") from None
    if sort == "csv":
        return delimited(stream, size, options.delimiter, options.missing, options.keep)
    return json_lines(stream, size, options.keep)


def parsed(words: list[str] | None) -> argparse.Namespace:
    """The command line; exit 2 where it cannot be understood."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXITS)
    add = parser.add_argument
    add("file", type=Path, metavar="IN", help="the rows; - is standard input")
    add("-o", dest="out", type=Path, metavar="OUT", required=True, help="the answers")
    add("--aside", type=Path, metavar="FILE", help="rows that do not fit go here, as JSON lines; else they stop the work")
    add("--from", dest="from_", choices=WRITERS, help="what IN is, where its name does not say it")
    add("--to", choices=WRITERS, help="what OUT is to be, where its name does not say it")
    add("--delimiter", default=",", help="what stands between the cells of csv (,)")
    add("--missing", action="append", default=[], metavar="TEXT", help="a text of csv that says that a value is missing, as an empty one does; may be given again")
    add("--keep", action="append", default=[], metavar="COLUMN", help="a column of IN that goes into OUT as it is, such as an id; may be given again")
    add("--unproved", action="store_true", help="score where this host computes other answers than the one that packaged")
    add("--quiet", action="store_true", help="tell nothing but errors")
    options = parser.parse_args(words)
    for end, path, flag in (("from_", options.file, "--from"), ("to", options.out, "--to")):
        if getattr(options, end) is None:
            if path.suffix.lower() not in SORTS:
                parser.error(f"{path}: its name ends in none of {', '.join(SORTS)}; say {flag}")
            setattr(options, end, SORTS[path.suffix.lower()])
    options.keep = [*dict.fromkeys(options.keep)]
    if taken := TAKEN & {*options.keep}:
        parser.error(f"--keep {min(taken)}: answers have a column of their own of that name")
    if options.delimiter == r"\t":
        options.delimiter = "\t"
    if len(options.delimiter) != 1 or options.delimiter in '"\r\n' or not options.delimiter.isascii():
        parser.error(f"--delimiter is one character, not {options.delimiter!r}")
    if options.from_ == "parquet" and str(options.file) == "-":
        parser.error("Parquet cannot be read from standard input")
    paths = [os.path.realpath(p) for p in (options.file, options.out, options.aside) if p]
    if len({*paths}) != len(paths):
        parser.error("IN, OUT and --aside are different files")
    return options


class Ended(BaseException):
    """A signal came."""


def main(words: list[str] | None = None) -> int:
    """Score a file; the exit code, with a sentence for what does not go well."""
    options = parsed(words)

    def end(number: int, _: object) -> None:
        raise Ended(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        return run(options)
    except Stopped as stopped:
        for row in stopped.rows[:MOST_TOLD]:
            print(f"{options.file}:{row.line}: {row.problem}", file=sys.stderr)
        if len(stopped.rows) > MOST_TOLD:
            print(f"... and {len(stopped.rows) - MOST_TOLD} more near these", file=sys.stderr)
        print("nothing is written; --aside FILE takes such rows, and goes on", file=sys.stderr)
        return UNFIT
    except Unfit as unfit:
        print(f"{options.file}: {unfit}; nothing is written", file=sys.stderr)
        return UNFIT
    except Unproved as error:
        print(f"error: {error}; nothing is written", file=sys.stderr)
        return UNPROVED
    except (Unwritten, OSError) as error:
        print(f"{error}; nothing is written", file=sys.stderr)
        return UNWRITTEN
    except Ended as ended:
        print("interrupted; nothing is written", file=sys.stderr)
        return 128 + ended.args[0]


if __name__ == "__main__":
    sys.exit(main())
