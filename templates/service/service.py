"""The service: an ASGI application, what it counts and keeps, and what it answers on which path."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from urllib.parse import parse_qsl

import msgspec

import body
import inference
import page
from bundle import Bundle
from counts import Counts
from kept import AGAIN, Kept
from patience import Patience
from problems import Refused, wrong
from settings import Settings
from tokens import admit

_encode = msgspec.json.Encoder().encode
_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")  # of a bundle's directory
JSON, PROBLEM = b"application/json", b"application/problem+json"
_WORDS = {"true": True, "false": False}  # of a parameter
TEXT, PAGE = b"text/plain; version=0.0.4; charset=utf-8", b"text/html; charset=utf-8"
# An answer: its status, its kind, its bytes, and headers of its own.
Answer = tuple[int, bytes, bytes, tuple[tuple[bytes, bytes], ...]]


class Asked:
    """A request: its id, and what it is answered by."""

    __slots__ = ("headers", "id", "receive", "scope")

    def __init__(self, scope: dict, receive: Callable[[], Awaitable[dict]]) -> None:
        self.scope, self.receive, self.headers = scope, receive, dict(scope["headers"])
        self.id = ""


class Service:
    """The ASGI application of a bundle. It answers that it lives at once, and that it is ready once
    its model is loaded, until it is told to stop."""

    def __init__(self, bundle: Bundle, settings: Settings, shared: Path | None = None) -> None:
        """`shared` is the directory in which worker processes count."""
        self.bundle, self.settings = bundle, settings
        self.limits = bundle.facts["service"]
        self.contract = bundle.facts["contract"]
        self.name, self.model_digest = bundle.facts["name"], bundle.facts["model"]
        self.version, self.plan = self.model_digest[:12], bundle.facts["plan"]
        self.model = None
        self.stopping = False
        self.failed = ""
        self.swap: Callable[[dict], Awaitable[dict]] | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self._busy = 0
        self._loading: asyncio.Task | None = None
        self._kept = Kept(bundle, settings)
        self._patience = Patience(self.limits["max_seconds"])
        self._watch: asyncio.Task | None = None
        self._ids, self._next = os.urandom(8).hex(), 0
        self._routes = self.routes()
        timed = [path for path, (method, _) in self._routes.items() if method == "POST"]
        self.counts = Counts(bundle, [*self._routes, "other"], timed, shared)

    def routes(self) -> dict[str, tuple[str, Callable[[Asked], Awaitable[Answer]]]]:
        """What is answered, and by which method, on each path."""
        model = f"/v2/models/{self.name}"
        versioned = f"{model}/versions/{self.version}"
        files = self.bundle.directory
        html, policy = page.read(files / "page.html")
        about = {name: self.bundle.facts[name] for name in ("name", "model", "plan", "family")}
        about |= {"bundle": self.bundle.digest, "contract": self.contract}
        about |= {name: self.bundle.facts[name] for name in ("explains", "levels")}
        tensors = inference.metadata(self.name, self.version, self.contract)
        server = {"name": "mlops_compile", "version": "2", "extensions": []}
        described = partial(_fixed, JSON, _encode(tensors))
        found = {
            "/predict": ("POST", self._predict),
            "/feedback": ("POST", self._keep),
            "/admin/swap": ("POST", self._swap),
            "/": ("GET", partial(_fixed, PAGE, html, headers=policy)),
            "/health/live": ("GET", partial(_fixed, JSON, b'{"status":"live"}')),
            "/health/ready": ("GET", partial(self._ready, b'{"status":"ready"}')),
            "/metrics": ("GET", self._metrics),
            "/model": ("GET", partial(self._about, about)),
            "/openapi.json": ("GET", partial(_fixed, JSON, (files / "openapi.json").read_bytes())),
            "/v2": ("GET", partial(_fixed, JSON, _encode(server))),
            "/v2/health/live": ("GET", partial(_fixed, JSON, b'{"live":true}')),
            "/v2/health/ready": ("GET", partial(self._ready, b'{"ready":true}')),
        }
        for place in (model, versioned):
            found[place] = ("GET", described)
            found[f"{place}/ready"] = ("GET", partial(self._ready, b'{"ready":true}'))
            found[f"{place}/infer"] = ("POST", self._infer)
        return found

    # Its life.

    def begin(self) -> asyncio.Task:
        """Begin to load the model, if that is not begun."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load_or_fail())
            self._watch = asyncio.create_task(self._patience.watch())
        return self._loading

    async def _load_or_fail(self) -> None:
        """Load the model, once it is proved here. What fails is said, and kept in `failed`."""
        try:
            await asyncio.to_thread(self._load)
        except Exception as error:
            self.failed = f"the model cannot be loaded: {type(error).__name__}: {error}"
            print(f"error: {self.failed}", file=sys.stderr, flush=True)
            self.on_failure()

    def _load(self) -> None:
        import predict  # it loads the scorer, which may take its time
        import schema

        model = predict.Model(self.bundle)
        self._predictions = predict
        self._kept.begin(schema.ZONED, self.counts.logged)
        self.model = model

    def stop(self) -> None:
        """Be ready no more; connections end with their next answer."""
        self.stopping = True

    async def _lifespan(self, receive: Callable, send: Callable) -> None:
        while True:
            message = await receive()
            loading = self.begin()
            if message["type"] == "lifespan.shutdown":
                await loading
                self._watch.cancel()
                self._kept.close()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    # Requests.

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            raise NotImplementedError(scope["type"])

    async def _http(self, scope: dict, receive: Callable, send: Callable) -> None:
        start = perf_counter()
        asked = Asked(scope, receive)
        asked.id = self._id(asked.headers)
        self.counts.under_way(1)
        try:
            status, kind, text, more = await self._answer(asked)
        except Refused as refused:
            status, kind, more = refused.status, PROBLEM, refused.headers
            text = _encode(refused.document(asked.id))
        except asyncio.CancelledError:  # the service ends, and waits no longer
            refused = Refused(503, "not-ready", "the service is being stopped", headers=AGAIN)
            status, kind, more = 503, PROBLEM, refused.headers
            text = _encode(refused.document(asked.id))
        except Exception as error:  # a bug: the client learns that there is one, the log which
            print(f"error: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            refused = Refused(500, "internal", "the service failed at this request")
            status, kind, text, more = 500, PROBLEM, _encode(refused.document(asked.id)), ()
        finally:
            self.counts.under_way(-1)
        path = scope["path"] if scope["path"] in self._routes else "other"
        self.counts.answered(path, status, perf_counter() - start)
        headers = [
            (b"content-type", kind),
            (b"content-length", b"%d" % len(text)),
            (b"x-request-id", asked.id.encode()),
            *more,
        ]
        if self.stopping:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        is_head = scope["method"] == "HEAD"
        await send({"type": "http.response.body", "body": b"" if is_head else text})

    def _id(self, headers: dict[bytes, bytes]) -> str:
        """The id that a request has, or one that no other has."""
        value = headers.get(b"x-request-id")
        if value is not None and _ID.fullmatch(value):
            return value.decode()
        self._next += 1
        return f"{self._ids}-{self._next:x}"

    async def _answer(self, asked: Asked) -> Answer:
        route = self._routes.get(asked.scope["path"])
        if route is None:
            raise Refused(404, "not-found", "nothing is here; /openapi.json says what there is")
        method, handle = route
        if asked.scope["method"] != method and (method, asked.scope["method"]) != ("GET", "HEAD"):
            allow = ((b"allow", b"POST" if method == "POST" else b"GET, HEAD"),)
            raise Refused(405, "method-not-allowed", f"use {method}", headers=allow)
        return await handle(asked)

    async def _body(self, asked: Asked, role: str) -> bytes:
        """The body of a request that may be made; Refused where it takes too long."""
        admit(asked.headers, asked.scope.get("client"), role, self.settings.tokens)
        most = self.limits["max_body_bytes"]
        return await self._patience.wait(body.read(asked.headers, asked.receive, most))

    def _admit_more(self) -> None:
        if self.model is None:
            raise Refused(503, "not-ready", "the model is being loaded", headers=AGAIN)
        if self._busy >= self.limits["max_concurrent"]:
            detail = f"{self._busy} requests are being answered; try again"
            raise Refused(429, "busy", detail, headers=AGAIN)

    def _count_busy(self, more: int) -> None:
        self._busy += more

    async def _within(self, work: Awaitable) -> object:
        seconds = self.limits["max_seconds"]
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError:
            detail = f"the answer was not there within {seconds:g} s; send fewer records"
            raise Refused(503, "too-long", detail, headers=AGAIN) from None

    async def _predict(self, asked: Asked) -> Answer:
        self._admit_more()
        self._busy += 1
        try:
            data = await self._body(asked, "predict")
            is_list = data.lstrip()[:1] == b"["
            records = self.model.records(data, is_list, self.limits["max_records"])
            explain = _explains(asked.scope["query_string"])
            answers = await self._scored(asked.id, records, is_list, explain)
        finally:
            self._busy -= 1
        about = {"model": self.model_digest, "plan": self.plan}
        if is_list:
            return 200, JSON, _encode({"predictions": answers, **about}), ()
        return 200, JSON, _encode({**answers[0], **about}), ()

    async def _scored(
        self, name: str, records: list, is_list: bool, explain: bool = False
    ) -> list[dict[str, object]]:
        """The answers for records, each with its id; they are counted, and put into the log."""
        model, contributions, start = self.model, None, perf_counter()
        aside = partial(self._predictions.aside, busy=self._count_busy)
        if explain and len(records) > (most := self._predictions.MOST_EXPLAINED):
            raise Refused(
                413, "too-many-records", f"contributions are told of {most} records at most"
            )
        if len(records) <= self._predictions.LARGE:
            scores = model.scores(records, is_list)
        else:
            scores = await self._within(aside(model.scores, records, is_list))
        if explain:
            threads = self._predictions.EXPLAINING
            contributions = await self._within(aside(model.contributions, records, threads=threads))
        answers = model.answers(scores, None)
        ids = [f"{name}:{number}" for number in range(len(records))] if is_list else [name]
        self._predictions.observe(records, answers, self.counts)
        self.counts.predicted(answers)
        self.counts.queued(self._kept.log(ids, records, answers, perf_counter() - start))
        if contributions is not None:
            answers = model.answers(scores, contributions)
        return [{**answer, "id": own} for answer, own in zip(answers, ids)]

    async def _infer(self, asked: Asked) -> Answer:
        self._admit_more()
        self._busy += 1
        try:
            given = inference.request(await self._body(asked, "predict"))
            most = self.limits["max_records"]
            records = self.model.converted(inference.rows(given, self.contract, most), most)
            name = given.id if given.id and _ID.fullmatch(given.id.encode()) else asked.id
            answers = await self._scored(name, records, True)
        finally:
            self._busy -= 1
        found = inference.response(given, self.name, self.version, self.contract, answers)
        # Feedback on record n names `records` with `:n`.
        about = {"model": self.model_digest, "plan": self.plan, "records": name}
        return 200, JSON, _encode({**found, "id": given.id or name, "parameters": about}), ()

    async def _keep(self, asked: Asked) -> Answer:
        kept = await self._kept.feed_back(await self._body(asked, "feedback"))
        self.counts.fed_back(kept)
        return 202, JSON, _encode({"kept": kept}), ()

    async def _swap(self, asked: Asked) -> Answer:
        data = await self._body(asked, "admin")
        if self.swap is None or not self.settings.bundles:
            detail = "only a service that was started with --workers and --bundles swaps bundles"
            raise Refused(409, "no-swap", detail)
        try:
            wish = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(400, "not-json", f"the body is not JSON: {error}") from None
        if not isinstance(wish, dict) or not isinstance(wish.get("bundle"), str):
            raise wrong("the body is an object that holds the name of a `bundle`")
        if not _NAME.fullmatch(wish["bundle"]):
            raise Refused(404, "not-swapped", f"there is no bundle {wish['bundle']!r} here")
        digest = wish.get("digest")
        if digest is not None and not (isinstance(digest, str) and len(digest) <= 64):
            raise wrong("the `digest` of a bundle is a text of 64 digits")
        answer = await self.swap({"bundle": wish["bundle"], "digest": digest})
        if "error" in answer:
            raise Refused(answer.get("status", 409), "not-swapped", answer["error"])
        return 200, JSON, _encode(answer), ()

    async def _about(self, about: dict[str, object], asked: Asked) -> Answer:
        language = None if self.model is None else self.model.language
        return 200, JSON, _encode({**about, "scorer": language}), ()

    async def _ready(self, text: bytes, asked: Asked) -> Answer:
        if self.stopping:
            raise Refused(503, "not-ready", "the service is being stopped", headers=AGAIN)
        if self.model is None:
            raise Refused(503, "not-ready", "the model is being loaded", headers=AGAIN)
        return 200, JSON, text, ()

    async def _metrics(self, asked: Asked) -> Answer:
        return 200, TEXT, (await asyncio.to_thread(self.counts.text)).encode("utf-8"), ()


async def _fixed(kind: bytes, text: bytes, asked: Asked, headers: tuple = ()) -> Answer:
    return 200, kind, text, headers


def _explains(query: bytes) -> bool:
    """Whether contributions are asked for; refused where that is said in another way, or twice."""
    given = parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []
    said = [value for name, value in given if name == "contributions"]
    if len(said) > 1 or (said and said[0] not in _WORDS):
        raise Refused(400, "wrong-parameter", "contributions is true or false, once")
    return bool(said) and _WORDS[said[0]]
