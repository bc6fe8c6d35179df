from __future__ import annotations

import pytest

from tether_rt.auth.permissions import GRANTED, Permission, require
from tether_rt.errors import Forbidden
from tether_rt.mongo.users import ROLES


@pytest.mark.parametrize("permission", Permission)
@pytest.mark.parametrize("role", [*ROLES, "", "owner"])
def test_the_table_decides_and_the_refusal_says_whom_to_ask(role: str, permission: Permission) -> None:
    if role in GRANTED[permission]:
        require(role, permission)
        return
    with pytest.raises(Forbidden, match=rf"^You may not {permission.value}: ask an admin of your organization\.$"):
        require(role, permission)


def test_every_permission_is_granted_to_roles_that_exist() -> None:
    assert GRANTED.keys() == set(Permission)
    assert {role for roles in GRANTED.values() for role in roles} <= set(ROLES)
