from __future__ import annotations

import uuid

import pytest

from tests.support.service import Service, Tenant


@pytest.fixture
async def service_pair(service: Service) -> tuple[Tenant, Tenant]:
    """Two users of one organization."""
    organization = uuid.uuid4().hex
    return await service.tenant(organization), await service.tenant(organization)
