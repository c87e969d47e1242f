"""An S3 server of one's own, which judges credentials: moto's, in a thread of this process."""

from __future__ import annotations

import contextlib
import json
import logging
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

_REGION = "us-east-1"
_USERS = {"admin": ["*"], "reader": ["s3:GetObject", "s3:ListBucket"], "stranger": ["sqs:*"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class S3:
    """A running server with the bucket `shop`; `keys` are id and secret of each user."""

    url: str
    keys: Mapping[str, tuple[str, str]]

    def environment(self, user: str) -> dict[str, str]:
        """The variables by which a client asks as a user."""
        key, secret = self.keys[user]
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def put(self, name: str, data: bytes) -> None:
        _client("s3", self.url, self.keys["admin"]).put_object(Bucket="shop", Key=name, Body=data)

    def delete(self, name: str) -> None:
        _client("s3", self.url, self.keys["admin"]).delete_object(Bucket="shop", Key=name)


@contextlib.contextmanager
def running() -> Iterator[S3]:
    """A server on a free port, with an admin, a reader and a stranger who may not read."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        iam = _client("iam", url, ("nobody", "nothing"))
        keys = {name: _user(iam, name, actions) for name, actions in _USERS.items()}
        # From here on every request is judged.
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{url}/moto-api/reset-auth", b"0", headers)
        urllib.request.urlopen(request).close()
        _client("s3", url, keys["admin"]).create_bucket(Bucket="shop")
        yield S3(url=url, keys=keys)
    finally:
        server.stop()


def _user(iam: Any, name: str, actions: list[str]) -> tuple[str, str]:
    iam.create_user(UserName=name)
    allowed = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName=name, PolicyName="policy", PolicyDocument=policy)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def _client(service: str, url: str, key: tuple[str, str]) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=_REGION,
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
    )
