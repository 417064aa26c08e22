"""Inputs on S3, by boto3: `s3://bucket/key`, a prefix as a folder, or a glob.

Endpoint, region and credentials come from the usual AWS variables; pages, retries, ranges and parts are boto's.
The listing's ETag is kept for information; what counts is the sha256 that the caller compares.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from slipway.errors import Refusal, UserError
from slipway.files import Listed, Listing

ATTEMPTS = 5
_DENIED = {"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
_ABSENT = {"NoSuchKey", "NoSuchBucket", "404"}


class S3:
    """Reads objects; never writes."""

    def __init__(self, page: int = 1000) -> None:
        """`page` is the number of objects asked for at once, at most 1000."""
        self._page = page

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        try:
            return boto3.client("s3", config=Config(retries={"max_attempts": ATTEMPTS, "mode": "standard"}))
        except ValueError:
            raise UserError("AWS_ENDPOINT_URL is no URL, as http://127.0.0.1:9000 is one; mend or unset it") from None

    def listing(self, path: str, suffixes: tuple[str, ...]) -> Listing:
        """The objects at an address: one, those of a folder that end in one of `suffixes`, or those of a glob."""
        from fsspec.utils import glob_translate

        bucket, key = _parts(path)
        literal = re.split(r"[*?\[]", key, maxsplit=1)[0]
        found: dict[str, Listed] = {}
        with _explained(path):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=literal, PaginationConfig={"PageSize": self._page}
            )
            for item in (item for page in pages for item in page.get("Contents", [])):
                if not item["Key"].endswith("/"):  # a console's mark for a folder
                    label = f"s3://{bucket}/{item['Key']}"
                    found[item["Key"]] = Listed(label, item["Size"], etag=item["ETag"].strip('"'))
        if key in found:
            return Listing((found[key],))
        if literal != key:
            pattern = re.compile(glob_translate(key))
            chosen = [name for name in found if pattern.match(name)]
        else:
            folder = f"{key.rstrip('/')}/" if key else ""
            chosen = [name for name in found if name.startswith(folder) and name.endswith(suffixes)]
        return Listing(tuple(found[name] for name in sorted(chosen)))

    def fetch(self, file: Listed, revision: str | None, target: Path, note: Callable[[int], None]) -> None:  # noqa: ARG002
        """Write an object to `target`, in ranges if it is large; S3 has no revisions.

        Raises:
            Refusal: if it is gone, or has another size than listed; then nothing is fetched.
        """
        bucket, key = _parts(file.path)
        with _explained(file.path):
            size = self._client.head_object(Bucket=bucket, Key=key)["ContentLength"]
            if size != file.bytes:
                raise Refusal(
                    f"{file.path}: has {size:,} bytes now, not {file.bytes:,}; nothing was read. "
                    "Find out who changed it; if the change is meant, accept it: slipway lock"
                )
            self._client.download_file(bucket, key, str(target), Callback=note)


def _parts(path: str) -> tuple[str, str]:
    bucket, _, key = path.removeprefix("s3://").partition("/")
    if not bucket:
        raise UserError(f"{path}: names no bucket; write s3://bucket/key, a folder, or a glob")
    return bucket, key


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Turn boto's errors into ones that name the address and what to do."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _ABSENT:
            raise Refusal(f"{path}: not there ({code}); restore it, or mend the path and run slipway lock") from None
        if code in _DENIED:
            raise UserError(
                f"{path}: S3 does not let you read it ({code}); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or "
                "AWS_PROFILE, and that they may list the bucket and read the object"
            ) from None
        raise UserError(f"{path}: {error}; check bucket and AWS_ENDPOINT_URL") from None
    except NoCredentialsError:
        raise UserError(f"{path}: no S3 credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") from None
    except (BotoCoreError, Boto3Error) as error:
        told = re.sub(r"//[^/@\s]*@", "//…@", str(error))  # an endpoint may hold a password
        raise UserError(f"{path}: {told}; check credentials, AWS_ENDPOINT_URL and the network") from None
