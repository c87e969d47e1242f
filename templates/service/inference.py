"""The Open Inference Protocol v2 over HTTP and JSON: a tensor for each field of the contract."""

from __future__ import annotations

from itertools import chain
from typing import Any

import msgspec

from problems import Refused, misfit

# Datatypes in which the fields of the contract may come; the first is what metadata says.
_NUMBERS = ("FP64", "FP32", "FP16", "INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32")
_TAKEN = {
    "numeric": (*_NUMBERS, "UINT16", "UINT8"),
    "boolean": ("BOOL",),
    "categorical": ("BYTES",),
    "datetime": ("BYTES",),
}


class Tensor(msgspec.Struct):
    """A tensor of a request."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]
    parameters: dict[str, Any] = {}


class Output(msgspec.Struct):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] = {}


class Request(msgspec.Struct):
    """An inference request; `outputs` left out asks for all."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[Output] | None = None


_decode = msgspec.json.Decoder(Request).decode


def metadata(name: str, version: str, contract: dict[str, Any]) -> dict[str, object]:
    """What a client asks of a model before it asks it."""
    inputs = [
        {"name": field, "datatype": _TAKEN[kind.removesuffix("?")][0], "shape": [-1]}
        for field, kind in contract["request"].items()
    ]
    return {
        "name": name,
        "versions": [version],
        "platform": "mlops_compile",
        "inputs": inputs,
        "outputs": _outputs(contract),
    }


def _outputs(contract: dict[str, Any]) -> list[dict[str, object]]:
    classes = contract["response"].get("classes")
    if not classes:
        return [{"name": "prediction", "datatype": "FP64", "shape": [-1]}]
    found = [
        {"name": "prediction", "datatype": "BYTES", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP64", "shape": [-1, len(classes)]},
    ]
    if contract["response"]["task"] == "binary":
        found.append({"name": "probability", "datatype": "FP64", "shape": [-1]})
    return found


def request(body: bytes) -> Request:
    """The request of a body."""
    try:
        return _decode(body)
    except msgspec.ValidationError as error:
        raise misfit(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, "not-json", f"the body is not JSON: {error}") from None


def rows(asked: Request, contract: dict[str, Any], most: int) -> list[dict[str, object]]:
    """The plain values of the records that tensors hold, one for each of their elements."""
    fields, columns, count = contract["request"], {}, None
    for place, tensor in enumerate(asked.inputs):
        where = f"$.inputs[{place}]"
        if tensor.name not in fields:
            raise misfit(f"Object contains unknown field `{tensor.name}` - at `{where}.name`")
        if tensor.name in columns:
            raise misfit(f"the tensor `{tensor.name}` is there twice - at `{where}.name`")
        kind = fields[tensor.name].removesuffix("?")
        if tensor.datatype not in _TAKEN[kind]:
            raise misfit(f"Expected `{_TAKEN[kind][0]}`, got `{tensor.datatype}` - at `{where}.datatype`")
        columns[tensor.name] = values = _flat(tensor, where)
        if count is not None and len(values) != count:
            raise misfit(f"tensors have {count} and {len(values)} elements - at `{where}.shape`")
        count = len(values)
    if (count or 0) > most:
        raise Refused(413, "too-many-records", f"a request may hold {most} records at most")
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


def _flat(tensor: Tensor, where: str) -> list[object]:
    """The elements of a tensor of one column: `[n]` or `[n, 1]`, flat or nested."""
    shape, values = tensor.shape, tensor.data
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]):
        raise misfit(f"Expected the shape [n] or [n, 1], got {shape[:5]} - at `{where}.shape`")
    if len(shape) == 2 and all(isinstance(value, list) for value in values):
        values = list(chain.from_iterable(values))
    if len(values) != shape[0]:
        raise misfit(f"{len(values)} elements do not fill the shape {shape[:5]} - at `{where}.data`")
    return values


def response(
    asked: Request,
    name: str,
    version: str,
    contract: dict[str, Any],
    answers: list[dict[str, Any]],
) -> dict[str, object]:
    """The outputs that were asked for."""
    known = {output["name"]: output for output in _outputs(contract)}
    wanted = [*known] if asked.outputs is None else [output.name for output in asked.outputs]
    outputs = []
    for place, output in enumerate(wanted):
        if output not in known:
            raise misfit(f"there is no output `{output[:100]}` - at `$.outputs[{place}].name`")
        if output in wanted[:place]:
            raise misfit(f"the output `{output}` is there twice - at `$.outputs[{place}].name`")
        data = [answer[output] for answer in answers]
        if output == "probabilities":
            data = [value for row in data for value in row.values()]
        shape = [len(answers), *known[output]["shape"][1:]]
        datatype = known[output]["datatype"]
        outputs.append({"name": output, "shape": shape, "datatype": datatype, "data": data})
    return {"model_name": name, "model_version": version, "outputs": outputs}
