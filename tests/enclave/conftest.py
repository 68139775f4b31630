"""Fixtures: the programs of an image, and folders that sockets may lie in."""
import os
import pathlib

import pytest

import image as images
from ways import PROGRAM


@pytest.fixture(scope="session", name="parts")
def _parts(tmp_path_factory):
    guest = images.build_guest(tmp_path_factory.mktemp("guest"))
    return images.Parts(pathlib.Path(os.environ["CC_ENCLAVE_KERNEL"]), PROGRAM, PROGRAM.parent / "enclave-init", guest)


@pytest.fixture(name="folder")
def _folder(tmp_path_factory):
    """Short, since sockets lie in it."""
    return tmp_path_factory.mktemp("e")
