#!/bin/sh
# Once per installation, harmless to repeat: the bucket, the work pool, the deployments.
set -eu
python - <<'PYTHON'
import boto3
from botocore.exceptions import ClientError

bucket = "slipway"
s3 = boto3.client("s3")
try:
    s3.head_bucket(Bucket=bucket)
except ClientError as error:
    if error.response["Error"]["Code"] not in {"404", "NoSuchBucket"}:
        raise
    s3.create_bucket(Bucket=bucket)
s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
PYTHON
export PYTHONPATH="$SLIPWAY_ROOT"
prefect --no-prompt work-pool inspect local >/dev/null 2>&1 || prefect --no-prompt work-pool create local --type process
prefect --no-prompt deploy --all
