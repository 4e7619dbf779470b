"""Storage for models and records. One rule: what stands under a key is whole, and a folder's last file says that it is.

``Storage`` is the interface; ``FolderStorage`` and ``S3Storage`` keep it. A folder that goes to S3 or comes from there does
so in passes: each pass looks at what is there already, by size and SHA-256, and moves the rest. So a transfer that was
killed goes on, one that is done does nothing, and what arrives damaged is moved again.
"""

from serin.clients.storage.folder import FolderStorage
from serin.clients.storage.opening import open_s3, open_storage, read_json_from
from serin.clients.storage.s3 import S3Storage
from serin.clients.storage.storage import Storage, StoredFile, Version

__all__ = [
    "FolderStorage",
    "S3Storage",
    "Storage",
    "StoredFile",
    "Version",
    "open_s3",
    "open_storage",
    "read_json_from",
]
