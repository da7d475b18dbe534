"""Fields of the contract whose attribute has a different name, one line each.

By the message's full name. Everything else goes by equal names (`codec.py`).
"""

from collections.abc import Mapping
from typing import Final

FIELD_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    # A dataclass of the importer has many operations around it, and one import.
    "dbops.v1.VerifyImportRequest": {"operation": "import_id"},
    "dbops.v1.RevertImportRequest": {"operation": "import_id"},
    "dbops.v1.ImportReport": {"operation": "import_id"},
    "dbops.v1.VerifyImportResponse": {"operation": "import_id"},
    "dbops.v1.RevertImportResponse": {"operation": "import_id"},
}
"""The attribute of a field, by the field's name."""

NOT_SENT: Final[Mapping[str, frozenset[str]]] = {
    # What the importer needs to make an object, and nobody to know of it.
    "dbops.v1.ImportObject": frozenset({"validate", "target", "violations", "fallback"}),
}
"""The attributes that have no field."""
