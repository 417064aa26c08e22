"""A store in a prefix of an S3 bucket, by boto3; endpoint and credentials come from the usual AWS variables.

Create-only is `If-None-Match: *`, compare-and-swap is `If-Match`; both are probed once before the first
write, because an endpoint that ignores them would lose releases silently. Large files are sent in parts and become
visible only when all parts are there.
"""

import contextlib
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from slipway.errors import Refusal, UserError

PART = 64 << 20
"""Bytes per part; files above one part are sent in parts. 10,000 parts are 640 GB."""
ATTEMPTS = 5


class S3Store:
    """Objects are `s3://bucket/prefix/key`."""

    def __init__(self, bucket: str, prefix: str = "", part: int = PART) -> None:
        self.bucket, self.prefix, self.part = bucket, f"{prefix}/" if prefix else "", part
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._connection: Any = None
        self._probed = False

    @property
    def _client(self) -> Any:
        if self._connection is None:
            import boto3
            from botocore.config import Config

            # Retries of reads are boto's; a conditional write that is retried by boto may meet its own first try,
            # which `create` recognises by content.
            self._connection = boto3.client("s3", config=Config(retries={"max_attempts": ATTEMPTS, "mode": "standard"}))
        return self._connection

    def _where(self, key: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.prefix + key}

    def _call(self, name: str, **arguments: Any) -> Any:
        """One request; absence and lost races become Python's own errors, the rest names bucket and remedy."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client, name)(**arguments)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            where = f"s3://{self.bucket}/{arguments.get('Key', arguments.get('Prefix', ''))}"
            if code in {"NoSuchKey", "404"}:
                raise FileNotFoundError(where) from None
            if code in {"PreconditionFailed", "412"}:
                raise FileExistsError(where) from None
            if code in {"ConditionalRequestConflict", "409"}:
                raise BlockingIOError(where) from None
            raise UserError(
                f"{where}: {name} failed: {error}; check bucket, credentials and AWS_ENDPOINT_URL"
            ) from error
        except BotoCoreError as error:
            raise UserError(f"{self.url}: {name} failed: {error}; check credentials and AWS_ENDPOINT_URL") from error

    def _again(self, request: Callable[[], Any]) -> Any:
        """Repeat a request that S3 answers with 409, as its documentation asks for."""
        for attempt in range(ATTEMPTS):
            try:
                return request()
            except BlockingIOError:
                time.sleep(0.1 * 2**attempt)
        return request()

    def _probe(self) -> None:
        """Refuse an endpoint that does not keep to conditional writes."""
        if self._probed:
            return
        key = self._where(f".probe/{uuid.uuid4().hex}")
        answers = [
            self._holds(**key, Body=b"1", IfNoneMatch="*"),
            not self._holds(**key, Body=b"2", IfNoneMatch="*"),
            not self._holds(**key, Body=b"3", IfMatch='"00000000000000000000000000000000"'),
        ]
        self._call("delete_object", **key)
        if not all(answers):
            raise Refusal(
                f"{self.url}: the endpoint ignores If-None-Match or If-Match, so a release could be overwritten; "
                "use an S3 server that keeps to conditional writes"
            )
        self._probed = True

    def _holds(self, **arguments: Any) -> bool:
        try:
            self._call("put_object", **arguments)
        except FileExistsError:
            return False
        return True

    def list(self, prefix: str = "") -> dict[str, int]:
        """Key -> bytes of every object whose key begins with `prefix` (a folder, with or without `/`)."""
        folder = f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""
        found: dict[str, int] = {}
        arguments: dict[str, Any] = {"Bucket": self.bucket, "Prefix": self.prefix + folder}
        while True:
            page = self._call("list_objects_v2", **arguments)
            found |= {item["Key"].removeprefix(self.prefix): item["Size"] for item in page.get("Contents", [])}
            if not page.get("IsTruncated"):
                return dict(sorted(found.items()))
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def read(self, key: str) -> tuple[bytes, str]:
        """Content and tag of a small object; raises FileNotFoundError."""
        answer = self._call("get_object", **self._where(key))
        with answer["Body"] as body:
            return body.read(), answer["ETag"]

    def open(self, key: str) -> BinaryIO:
        """A stream over an object of any size; raises FileNotFoundError."""
        return self._call("get_object", **self._where(key))["Body"]

    def create(self, key: str, content: bytes | Path) -> None:
        """Write an object that does not exist yet; raises FileExistsError if it does, and changes nothing then."""
        self._probe()
        if isinstance(content, Path) and content.stat().st_size > self.part:
            self._again(lambda: self._send_parts(key, content))
            return
        body = content if isinstance(content, bytes) else content.read_bytes()
        self._again(lambda: self._call("put_object", **self._where(key), Body=body, IfNoneMatch="*"))

    def _send_parts(self, key: str, content: Path) -> None:
        where = self._where(key)
        upload = {**where, "UploadId": self._call("create_multipart_upload", **where)["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            with content.open("rb") as stream:
                while block := stream.read(self.part):
                    number = len(parts) + 1
                    sent = self._call("upload_part", **upload, PartNumber=number, Body=block)
                    parts.append({"ETag": sent["ETag"], "PartNumber": number})
            self._call("complete_multipart_upload", **upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
        except BaseException:
            # An upload that was completed, its answer lost, is gone: what counts is the first error, not this one.
            with contextlib.suppress(UserError, FileNotFoundError):
                self._call("abort_multipart_upload", **upload)
            raise

    def copy(self, source: str, key: str) -> None:
        """Give an object of this store a second key, copied inside S3; raises FileExistsError or FileNotFoundError.

        The check for an existing object and the copy are two requests; publishers hold a claim on their folder.
        """
        self._probe()
        try:
            self._call("head_object", **self._where(key))
        except FileNotFoundError:
            # The managed transfer copies objects above 5 GB in parts.
            self._call("head_object", **self._where(source))
            self._call("copy", CopySource=self._where(source), **self._where(key))
            return
        raise FileExistsError(f"{self.url}/{key}")

    def swap(self, key: str, content: bytes, tag: str | None) -> bool:
        """Replace an object only if its tag is still `tag` (None: only if absent); False if someone was faster."""
        self._probe()
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        try:
            self._again(lambda: self._call("put_object", **self._where(key), Body=content, **condition))
        except (FileExistsError, FileNotFoundError):
            return False
        return True
