"""Which foreign project and file do the tests of a transfer start from?"""

from __future__ import annotations

import shutil

import pytest

from ops.model.endpoint import SqliteEndpoint
from tests.adapters.transfer import foreign
from tests.adapters.transfer.running import tools_for


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """The foreign history."""
    return foreign.project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def filled(tmp_path_factory, project):
    """One file at its head, with rows of every kind; never changed."""
    path = tmp_path_factory.mktemp("filled") / "source.db"
    project.migrator(SqliteEndpoint(path)).upgrade("two", lock_timeout_s=5, statement_timeout_s=60)
    foreign.fill(path)
    return path


@pytest.fixture
def file(tmp_path, filled):
    """A copy of it for one test."""
    return shutil.copyfile(filled, tmp_path / "source.db")


@pytest.fixture
def tools(tmp_path, project, fresh_database):
    """The tools of a stack whose database is empty."""
    return tools_for(project.folder, fresh_database, tmp_path / "state")
