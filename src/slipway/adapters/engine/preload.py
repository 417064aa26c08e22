"""Imported once by the server from which the workers of the local pool are forked, so that each starts in milliseconds.

Not for import elsewhere: it limits the threads of the process.
"""

from slipway.adapters.engine.task import limit_threads

limit_threads()

import numpy as np  # noqa: E402, F401
import pyarrow.parquet as pq  # noqa: E402, F401

import slipway.recipe  # noqa: E402
import slipway.records  # noqa: E402, F401
