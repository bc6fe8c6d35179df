"""Queries on `organizations`: the settings of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from tether_rt.domain.organization import FOR_EVER, Retention
from tether_rt.errors import BadRequest
from tether_rt.mongo.account_documents import OrganizationDocument
from tether_rt.mongo.client import Database
from tether_rt.mongo.documents import Collections


class Organizations:
    """Queries on `organizations`."""

    def __init__(self, database: Database) -> None:
        self._organizations = Collections(database).organizations

    async def one(self, organization_id: str) -> OrganizationDocument | None:
        """Return an organization."""
        return await self._organizations.find_one({"_id": organization_id})

    async def change(self, organization_id: str, changes: Mapping[str, Any]) -> OrganizationDocument | None:
        """Set fields and return the organization as it is then; raises `BadRequest` for a name that another one has."""
        try:
            return await self._organizations.find_one_and_update(
                {"_id": organization_id}, {"$set": changes}, return_document=ReturnDocument.AFTER
            )
        except DuplicateKeyError as error:
            raise BadRequest("Another organization has this name: choose another one", code="taken", field="name") from error


def retention_of(organization: OrganizationDocument) -> Retention:
    """Return an organization's retention; by default all is kept for ever."""
    return {**FOR_EVER, **organization.get("retention", {})}
