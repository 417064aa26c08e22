"""Objects that are made of parts: sent side by side, taken up again after a crash, visible only when all are there.

Which parts are there already is asked of the server. A part is taken as it lies if its size is right and its tag is the
one that the journal holds for this very content (by sha256), or is the MD5 of what is here. All else is sent again.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.adapters.store.body import Note, Slice
from slipway.adapters.store.connection import Conflict, Connection, Exists
from slipway.adapters.store.leftovers import free, give_up
from slipway.adapters.store.uploads import Upload, Uploads
from slipway.errors import UserError

MAX_PARTS = 10_000
MIB = 1 << 20


@dataclass(frozen=True)
class Job:
    """A file on its way to an object."""

    connection: Connection
    where: dict[str, str]
    """Bucket and key."""
    content: Path
    size: int
    sha256: str | None
    """Of the content, if known; without it, parts that arrived earlier are compared by MD5."""
    part: int
    """Bytes per part."""
    checksum: dict[str, str]
    """ChecksumAlgorithm, or nothing."""
    note: Note | None

    @property
    def url(self) -> str:
        """Address of the object."""
        return f"s3://{self.where['Bucket']}/{self.where['Key']}"

    def span(self, number: int) -> tuple[int, int]:
        """First byte and length of a part; they are numbered from 1."""
        start = (number - 1) * self.part
        return start, min(self.part, self.size - start)


def part_size(size: int, wanted: int) -> int:
    """Bytes per part: `wanted`, or as many whole MiB as keep a file of `size` bytes within 10,000 parts."""
    least = -(-size // MAX_PARTS)
    return wanted if least <= wanted else -(-least // MIB) * MIB


def send(job: Job, journal: Uploads, workers: int) -> None:
    """Send a file in parts and make it visible, unless the object exists.

    Without a journal, or after a refusal, parts that were sent are given up; otherwise they stay for a rerun.

    Raises:
        FileExistsError: if the object exists with other content.
        UserError: if a part cannot be sent; run it again to go on.
    """
    if _present(job):  # joining the parts decides; this saves sending what would be thrown away
        # Only what was begun here: where many were slower, each freeing all of them would be requests squared.
        if begun := journal.find(job.url, _what(job)):
            give_up(job.connection, {**job.where, "UploadId": begun.upload_id})
            begun.forget()
        raise FileExistsError(job.url)
    upload = _take_up(job, journal) or _begin(job, journal)
    ids = {**job.where, "UploadId": upload.upload_id}
    count = -(-job.size // job.part)
    try:
        missing = [number for number in range(1, count + 1) if number not in upload.arrived]
        in_parallel(lambda number: _send_part(job, ids, upload, number), missing, workers)
        complete(job.connection, job.where, ids, dict(sorted(upload.arrived.items())))
    except FileNotFoundError as error:  # someone else ended the upload, by completing it perhaps
        upload.forget()
        raise _ended(job) from error
    except BaseException as error:
        # After a conflict S3 wants the parts anew; after anything else but a refusal a rerun goes on with them.
        if isinstance(error, FileExistsError | Conflict) or not journal.kept:
            give_up(job.connection, ids)
            upload.forget()
        raise
    upload.forget()
    free(job.connection, job.where)


def _ended(job: Job) -> Exception:
    if _present(job):
        return FileExistsError(job.url)
    return UserError(f"{job.url}: its upload was ended by someone else; publish again")


def _present(job: Job) -> bool:
    try:
        job.connection.call("head_object", **job.where)
    except FileNotFoundError:
        return False
    return True


def complete(connection: Connection, where: dict[str, str], ids: dict[str, str], tags: dict[int, str]) -> None:
    """Join the parts, unless the object exists; a request that met its own first try has done it.

    Raises:
        FileExistsError: if the object exists and is not made of these parts.
        FileNotFoundError: if the upload is gone and there is no object.
        Conflict: if S3 saw a conflict, again and again, and there is no object.
    """
    parts = {"Parts": [{"PartNumber": number, "ETag": tag} for number, tag in tags.items()]}
    try:
        connection.again(
            lambda: connection.call("complete_multipart_upload", **ids, MultipartUpload=parts, IfNoneMatch="*")
        )
    except (Exists, FileNotFoundError, Conflict) as error:
        if isinstance(error, Exists) and not error.retried:
            raise
        try:
            found = connection.call("head_object", **where)["ETag"]
        except FileNotFoundError:
            raise error from None
        if found != _joined(list(tags.values())):
            raise FileExistsError(f"s3://{where['Bucket']}/{where['Key']}") from error


def in_parallel(work: Callable[[int], None], numbers: Iterable[int], workers: int) -> None:
    """Do `work` for each number, some at a time; the first error ends the rest that has not begun, and is raised."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="part")
    try:
        jobs = [pool.submit(work, number) for number in numbers]
        for done in wait(jobs, return_when=FIRST_EXCEPTION).done:
            done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _what(job: Job) -> dict[str, Any]:
    return {"size": job.size, "sha256": job.sha256, "part_bytes": job.part}


def _begin(job: Job, journal: Uploads) -> Upload:
    kind = {"ChecksumType": "FULL_OBJECT"} if job.checksum else {}
    answer = job.connection.call("create_multipart_upload", **job.where, **job.checksum, **kind)
    return journal.begin(job.url, job.where, _what(job), answer["UploadId"])


def _take_up(job: Job, journal: Uploads) -> Upload | None:
    """The interrupted upload of this file, with the parts that need not be sent again; None if there is none."""
    upload = journal.find(job.url, _what(job))
    if upload is None:
        return None
    page: dict[str, Any] = {**job.where, "UploadId": upload.upload_id}
    arrived: dict[int, str] = {}
    try:
        while True:
            found = job.connection.call("list_parts", **page)
            for part in found.get("Parts", []):
                if _holds(job, upload, part):
                    arrived[part["PartNumber"]] = part["ETag"]
            if not found.get("IsTruncated"):
                break
            page["PartNumberMarker"] = found["NextPartNumberMarker"]
    except FileNotFoundError:  # completed, or given up from elsewhere
        upload.forget()
        return None
    upload.arrived = arrived
    if job.note:
        job.note(sum(job.span(number)[1] for number in arrived))
    return upload


def _holds(job: Job, upload: Upload, part: dict[str, Any]) -> bool:
    number, tag = part["PartNumber"], part["ETag"]
    start, length = job.span(number)
    if length <= 0 or part["Size"] != length:
        return False
    if job.sha256 and upload.arrived.get(number) == tag:
        return True
    with Slice(job.content, start, length) as body:
        digest = hashlib.md5(usedforsecurity=False)
        while block := body.read(MIB):
            digest.update(block)
    return digest.hexdigest() == tag.strip('"')


def _send_part(job: Job, ids: dict[str, str], upload: Upload, number: int) -> None:
    with Slice(job.content, *job.span(number), job.note) as body:
        sent = job.connection.call("upload_part", **ids, **job.checksum, PartNumber=number, Body=body)
    upload.add(number, sent["ETag"])


def _joined(tags: list[str]) -> str | None:
    """Tag that S3 gives to an object of these parts; None if a part's tag is no MD5."""
    try:
        whole = b"".join(bytes.fromhex(tag.strip('"')) for tag in tags)
    except ValueError:
        return None
    return f'"{hashlib.md5(whole, usedforsecurity=False).hexdigest()}-{len(tags)}"'


@dataclass(frozen=True)
class Copy:
    """An object on its way to a second key."""

    connection: Connection
    source: dict[str, str]
    """Bucket and key."""
    where: dict[str, str]
    """Bucket and key of the new object."""
    size: int
    tag: str
    """Of the source; another one means that it was replaced meanwhile."""
    part: int
    """Bytes copied by one request."""


def copy(job: Copy, workers: int) -> None:
    """Copy an object inside S3 in parts, unless the target exists; raises FileExistsError or FileNotFoundError."""
    connection, where = job.connection, job.where
    ids = {**where, "UploadId": connection.call("create_multipart_upload", **where)["UploadId"]}
    tags: dict[int, str] = {}
    lock = threading.Lock()

    def one(number: int) -> None:
        start = (number - 1) * job.part
        span = f"bytes={start}-{min(start + job.part, job.size) - 1}"
        answer = connection.call(
            "upload_part_copy",
            **ids,
            PartNumber=number,
            CopySource=job.source,
            CopySourceRange=span,
            CopySourceIfMatch=job.tag,
        )
        with lock:
            tags[number] = answer["CopyPartResult"]["ETag"]

    try:
        in_parallel(one, range(1, -(-job.size // job.part) + 1), workers)
        complete(connection, where, ids, dict(sorted(tags.items())))
    except BaseException:
        give_up(connection, ids)
        raise
    free(connection, where)
