"""What the fork server of `tests.publishers` imports before it forks, so that a publisher starts in milliseconds."""

import boto3  # noqa: F401
import google.protobuf.json_format  # noqa: F401
import in_toto_attestation.v1.statement  # noqa: F401
import s3transfer  # noqa: F401
import securesystemslib.dsse
import securesystemslib.signer  # noqa: F401

import tests.publishers  # noqa: F401
from slipway.adapters.store.connection import loader

loader().load_service_model("s3", "service-2")
loader().load_service_model("s3", "endpoint-rule-set-1")
