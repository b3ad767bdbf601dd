"""The Python SDK: tell Watchkeeper what a model does, from a hot path, without ever slowing or breaking it.

Private modules, in the order a row passes them: `_client` (the calls) · `_frames` (a copy) · `_inbox` (memory) · `_columns`, `_json`,
`_arrow`, `_batches` (encoding) · `_writer` · `_spool` (disk) · `_sender` (network); `_delivery` starts and ends them.
"""

from watchkeeper.client._client import Client, connect
from watchkeeper.client._self_check import SelfCheck
from watchkeeper.client._trouble import NotDelivered

__all__ = ["Client", "NotDelivered", "SelfCheck", "connect"]
