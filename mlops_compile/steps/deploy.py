"""The keys under `deploy`: what is generated, and its limits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlops_compile.ir.schema import group, key
from mlops_compile.steps.targets import target_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """`deploy.container`: how images are made and run, for the targets that are of these."""

    python: str = key("Python of the image", default="3.13", choices=("3.11", "3.12", "3.13"))
    image: str | None = key(
        "the image, as name:tag; else the service's name and the model's digest",
        default=None,
        filled=True,
    )
    replicas: int = key("fewest copies", default=2, low=1)
    most_replicas: int = key("most copies, as load asks for them", default=10, low=1)
    cpu: float = key("cores that a copy asks for", default=0.5, low=0, low_open=True)
    most_cpu: float = key("cores that a copy may use", default=1.0, low=0, low_open=True)
    memory: int = key("MiB that a copy asks for", default=128, low=16)
    most_memory: int = key("MiB that a copy may use", default=512, low=16)
    log_claim: str | None = key(
        "the PersistentVolumeClaim for the log of predictions; else none is kept",
        default=None,
        filled=True,
    )
    project_claim: str | None = key(
        "that of the project with its state, in which the log is monitored; else it is not",
        default=None,
        filled=True,
    )
    monitor_image: str = key(
        "the image that monitors: one that has mlops_compile",
        default="mlops-compile:latest",
        filled=True,
    )
    monitor_schedule: str = key("when it does, as cron has it", default="17 * * * *", filled=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """`deploy.log`: the service's log of predictions, where it is started with a place for one."""

    sensitive: str = key(
        "what becomes of sensitive columns: omit them, or hash them by a key that the service is"
        " given at its start",
        default="omit",
        choices=("omit", "hash"),
    )
    max_bytes: int = key("size from which a file gets no more lines", default=67_108_864, low=1024)
    max_files: int = key(
        "most files of predictions, of which the oldest are removed; 0: any number",
        default=16,
        low=0,
    )
    queue: int = key(
        "most records that wait to be written; more are counted, and not logged",
        default=10_000,
        low=1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """`deploy`: the service that is generated."""

    target: str = key("what to generate", default="http", choices=target_names())
    name: str | None = key("name of the service; else that of the data set", default=None)
    max_records: int = key("most records in one request", default=1000, low=1)
    max_body_bytes: int = key("largest request body", default=10_485_760, low=1024)
    max_seconds: float = key(
        "longest time for a body to come, and for an answer to be found",
        default=30.0,
        low=0.0,
        low_open=True,
    )
    max_concurrent: int = key(
        "most requests that one process answers at a time; more are refused", default=100, low=1
    )
    log: Log = group("the log of predictions", Log)
    container: Container = group("images, and what runs them", Container)


# What texts under `deploy.container` have to look like: a pattern, and words for it.
_IMAGE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._/-]*(:[0-9]+/[A-Za-z0-9._/-]+)?(:[\w.-]+)?(@sha256:[0-9a-f]{64})?"
)
_CRON = re.compile(r"[0-9*,/-]+ [0-9*,/-]+ [0-9*,/?L-]+ [0-9A-Z*,/-]+ [0-9A-Z*,/?-]+")
_CLAIM = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
FORMS = {
    "log_claim": (_CLAIM, "the name of a claim: small letters, digits, - and ."),
    "project_claim": (_CLAIM, "the name of a claim: small letters, digits, - and ."),
    "image": (_IMAGE, "the name of an image, as registry/name:tag"),
    "monitor_image": (_IMAGE, "the name of an image, as registry/name:tag"),
    "monitor_schedule": (_CRON, "five fields as cron has them, as `17 * * * *`"),
}
# Keys of `deploy.container` of which the first is at most the second.
ENDS = (("replicas", "most_replicas"), ("cpu", "most_cpu"), ("memory", "most_memory"))
