"""`diff`: what changes between two plans, why, and what it costs."""

from __future__ import annotations

import io
from collections.abc import Sequence

from mlops_compile.api.diffing import NEW, OLD, diff
from mlops_compile.api.writing import write_asked
from mlops_compile.cli.review_document import review_document
from mlops_compile.cli.review_text import say_review
from mlops_compile.cli.verb import Call
from mlops_compile.ir.config import Config
from mlops_compile.ir.problem import CompileError, StaleError, problem
from mlops_compile.ir.review import Review

_DIFFERS = StaleError.exit_code


def run(call: Call) -> int:
    """Compare two operands; with `--exit-code`, 4 where more than what is cosmetic differs."""
    options = call.options
    if options.file is not None and options.file.is_dir():
        message = f"{options.file} is a directory, and a file is to be written"
        raise CompileError([problem("output", message)])
    review = diff(
        OLD if options.old is None else options.old,
        NEW if options.new is None else options.new,
        composer=composed,
        assume_made=options.assume_made,
    )
    if options.file is not None:
        write_asked(_rendered(review, options.format), options.file)
    elif options.format == "text":
        say_review(review, call.out)
    else:
        print(_rendered(review, options.format), end="", file=call.out)
    return _DIFFERS if options.exit_code and review.change.differs else 0


def composed(words: Sequence[str]) -> Sequence[Config]:
    """The configs that words of a command line ask for."""
    from mlops_compile.cli.front import Job, Multirun, run_hydra  # Hydra, once there is a conf/

    def one(job: Job) -> Config:
        return job.config

    def all_of(multirun: Multirun) -> list[Config]:
        return [job.config for job in multirun.jobs]

    return run_hydra(words, one, inspect=True, together=all_of)


def _rendered(review: Review, form: str) -> str:
    match form:
        case "text":
            text = io.StringIO()
            say_review(review, text)
            return text.getvalue()
        case "json":
            return review_document(review)
        case "markdown":
            from mlops_compile.present.review_markdown import markdown

            return markdown(review)
        case "html":
            from mlops_compile.present.review_page import page_of

            return page_of(review)
    raise AssertionError(form)
