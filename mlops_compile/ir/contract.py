"""The service's contract: what a request holds and what an answer holds."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.value import Map, Value

FEATURE_TYPES = ("numeric", "categorical", "datetime", "boolean")
TASKS = ("binary", "multiclass", "regression")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class RequestField:
    """A field of a request; `nullable` if it may be null or left out. Written `numeric?`."""

    name: str
    type: str
    nullable: bool

    def __post_init__(self) -> None:
        if self.type not in FEATURE_TYPES:
            raise ValueError(
                f"{self.type!r} is no type of a field; one of {', '.join(FEATURE_TYPES)}"
            )

    @property
    def text(self) -> str:
        return f"{self.type}?" if self.nullable else self.type


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Request fields by name; the target that is predicted, its task and classes.

    `classes` are in the order of the model's probabilities; in a binary task the last is positive.
    """

    request: tuple[RequestField, ...]
    target: str
    task: str
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"{self.task!r} is no task; one of {', '.join(TASKS)}")
        if (self.task == "regression") != (not self.classes):
            raise ValueError(f"a {self.task} contract with {len(self.classes)} classes")

    def to_dict(self) -> Map:
        response: dict[str, Value] = {"target": self.target, "task": self.task}
        if self.classes:
            response["classes"] = self.classes
        request = Map({field.name: field.text for field in self.request})
        return Map({"request": request, "response": Map(response)})

    @classmethod
    def from_dict(cls, value: Map) -> Contract:
        """The contract of a lock. ValueError for anything that `to_dict` does not write."""
        request, response = value.get("request"), value.get("response")
        if set(value) != {"request", "response"}:
            raise ValueError("a contract holds `request` and `response`, and nothing else")
        if not isinstance(request, Map) or not isinstance(response, Map):
            raise ValueError("a contract is an object of `request` and `response` objects")
        target, task, classes = (response.get(name) for name in ("target", "task", "classes"))
        if not set(response) <= {"target", "task", "classes"}:
            raise ValueError("`response` holds `target`, `task` and `classes`, and nothing else")
        if not isinstance(target, str) or not isinstance(task, str):
            raise ValueError("`response` holds the texts `target` and `task`")
        classes = classes if "classes" in response else ()
        if not isinstance(classes, tuple) or not all(isinstance(name, str) for name in classes):
            raise ValueError("`response.classes` is a list of texts")
        return cls(
            request=tuple(_field(name, text) for name, text in request.items()),
            target=target,
            task=task,
            classes=tuple(str(name) for name in classes),
        )


def _field(name: str, text: Value) -> RequestField:
    if not isinstance(text, str):
        raise ValueError(f"request.{name} must be text")
    return RequestField(name=name, type=text.removesuffix("?"), nullable=text.endswith("?"))
