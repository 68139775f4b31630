"""Shared fixtures: directories below the build directory, vectors, daemons that end with their test."""
import pathlib

import pytest

import daemon as daemon_module
from forms import FULL


def pytest_configure(config):
    config.addinivalue_line("markers", "long_form: what only `make full` runs (CC_FULL=1)")
    config.addinivalue_line("markers", "timed: holds a time against a bound, and has little beside it (cmake/Tests.cmake)")
    config.addinivalue_line("markers", "points: its signers have test switches, and so test points, where others are release binaries")


def pytest_collection_modifyitems(items):
    if not FULL:
        for item in items:
            if item.get_closest_marker("long_form"):
                item.add_marker(pytest.mark.skip(reason="left out: the long form (CC_FULL=1) does it"))


def pytest_sessionfinish(session, exitstatus):
    """A file of which nothing ran is none that passed: CTest lists it as skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == pytest.ExitCode.OK and reporter is not None and not reporter.stats.get("passed") and reporter.stats.get("skipped"):
        session.exitstatus = 77


@pytest.fixture
def workdir(request):
    """A fresh directory on a real disk, named after the test; kept until its next run."""
    return daemon_module.fresh_dir(request.node.name)


@pytest.fixture
def make_daemon(request, workdir):
    """Makes Daemons that are ended with their test; their directories stay, for who looks into a failure."""
    made = []
    points = request.node.get_closest_marker("points")

    def make(**options):
        name = f"d{len(made)}"
        if points:
            options.setdefault("binary", daemon_module.binary_with_switches())
        one = daemon_module.Daemon(workdir / name, **options)
        made.append(one)
        return one

    yield make
    for one in made:
        one.end()


@pytest.fixture
def vectors():
    """The folder of third-party vectors; a test that needs it is skipped, and says so, where it is missing."""
    folder = daemon_module.vectors_dir()
    if folder is None:
        pytest.skip("left out: no vectors (CC_VECTORS)")
    return pathlib.Path(folder)
