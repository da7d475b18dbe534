"""Whether a caller may do something, to a database or to none in particular."""

import pytest

from dbopsd.security.authorisation import require
from dbopsd.security.caller import ANONYMOUS, NOBODY, Caller, Role
from dbopsd.security.errors import RoleMissing

VIEWER, OPERATOR, ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN
EVERYWHERE = Caller("everywhere", OPERATOR)
OF_MAIN = Caller("of-main", None, (("main", ADMIN),))
LESS_ON_MAIN = Caller("less-on-main", ADMIN, (("main", VIEWER),))


@pytest.mark.parametrize(
    ("caller", "role", "database"),
    [
        *((EVERYWHERE, VIEWER, None), (EVERYWHERE, OPERATOR, None), (EVERYWHERE, OPERATOR, "main")),
        *((OF_MAIN, ADMIN, "main"), (OF_MAIN, VIEWER, "main"), (OF_MAIN, VIEWER, None)),
        *((LESS_ON_MAIN, VIEWER, "main"), (LESS_ON_MAIN, ADMIN, "other"), (ANONYMOUS, ADMIN, None)),
    ],
)
def test_what_is_allowed(caller, role, database):
    require(caller, role, database)


@pytest.mark.parametrize(
    ("caller", "role", "database"),
    [
        *((EVERYWHERE, ADMIN, None), (EVERYWHERE, ADMIN, "main")),
        *((OF_MAIN, VIEWER, "other"), (OF_MAIN, VIEWER, "")),
        # To change what belongs to no database, the role on one is not enough.
        *((OF_MAIN, OPERATOR, None), (OF_MAIN, ADMIN, None)),
        *((LESS_ON_MAIN, OPERATOR, "main"), (NOBODY, VIEWER, None), (NOBODY, VIEWER, "main")),
    ],
)
def test_what_is_not(caller, role, database):
    with pytest.raises(RoleMissing) as caught:
        require(caller, role, database)
    assert caught.value.caller == caller.name
    assert caught.value.role == role.name
    assert caught.value.database == (database or "")
