"""Parts that will never become an object: they are invisible, but they take room and cost money.

A bucket's lifecycle rule for incomplete uploads (docs/store.md) ends what no machine remembers.
"""

from slipway.adapters.store.connection import Connection
from slipway.adapters.store.uploads import Uploads
from slipway.errors import UserError

ABANDONED = 7 * 86400
"""Age in seconds of an upload that nobody will finish."""


def give_up(connection: Connection, ids: dict[str, str]) -> None:
    """Free what the parts of an upload take; says so if that cannot be done now."""
    try:
        connection.call("abort_multipart_upload", **ids)
    except FileNotFoundError:
        return  # it was completed, its answer lost, or ended from elsewhere
    except UserError as error:
        print(f"[store] parts of an upload stay behind for now: {error}", flush=True)


def free(connection: Connection, where: dict[str, str]) -> None:
    """Give up all uploads to an object that exists, for none of them can become it any more.

    They are left by requests whose answer was lost, and by publishers that were faster or died.
    """
    try:
        found = connection.call("list_multipart_uploads", Bucket=where["Bucket"], Prefix=where["Key"])
    except UserError as error:
        print(f"[store] uploads that were left behind were not looked for: {error}", flush=True)
        return
    for item in found.get("Uploads", []):
        if item["Key"] == where["Key"]:
            give_up(connection, {**where, "UploadId": item["UploadId"]})


def sweep(connection: Connection, journal: Uploads) -> int:
    """Give up uploads that this project began a week ago or earlier and never finished; how many.

    Those of a machine whose journal is lost are for the bucket's lifecycle rule.
    """
    old = journal.older_than(ABANDONED)
    for upload, where in old:
        give_up(connection, {**where, "UploadId": upload.upload_id})
        upload.forget()
    return len(old)
