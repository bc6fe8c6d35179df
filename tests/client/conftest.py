from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.node import installed_in


@pytest.fixture(scope="session")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the checkout in which the package for JavaScript is installed from its tarball."""
    return installed_in(tmp_path_factory.mktemp("javascript"))
