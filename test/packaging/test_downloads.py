# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nothing in the package fetches anything: no module that could, no program that would.

That the running nodes reach for nobody is shown in ``test/ros/test_network.py``.
"""
from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2]
MODULES = sorted([*(SOURCES / 'lorat_ros').rglob('*.py'), *(SOURCES / 'launch').glob('*.py')])
#: Of the standard library and of what is likely to be installed: what speaks to other machines.
CLIENTS = re.compile(
    r'(urllib\.request|urllib2|urllib3|http\.client|http\.server|ftplib|smtplib|imaplib|poplib|'
    r'telnetlib|xmlrpc|socketserver|asyncio|socket|ssl|requests|httpx|aiohttp|websockets?|'
    r'paramiko|boto3|gdown|wget|pycurl|huggingface_hub|datasets|timm|transformers|kagglehub|pip)'
    r'(\.|$)')
#: Functions that fetch by themselves, by their last name.
FETCHERS = re.compile(r'(load_state_dict_from_url|download_url_to_file|hf_hub_download|'
                      r'snapshot_download|urlopen|urlretrieve|from_pretrained|system|popen)$')
#: In ``torch.hub`` and ``onnx.hub`` these too.
HUB_FETCHERS = re.compile(r'hub\.(load|list|help|download_model\w*)$')
PROGRAMS = re.compile(r'(curl|wget|git|pip3?|aria2c|scp|rsync|ssh|sh|bash)$')
#: MAVLink links are what their user asks for, to the address that is given.
ALLOWED = {('lorat_ros/mavlink/links.py', 'socket')}


def fetching(source: str) -> Iterator[str]:
    """Everything in a source that could fetch something."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f'{node.module}.{alias.name}' for alias in node.names]
        for name in names:
            if found := CLIENTS.match(name):
                yield found[1]
            elif FETCHERS.search(name):
                yield name
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if FETCHERS.search(called) or HUB_FETCHERS.search(called):
                yield called
            yield from _shells(node)
        if isinstance(node, ast.List) and node.elts and isinstance(node.elts[0], ast.Constant):
            program = str(node.elts[0].value)
            if PROGRAMS.match(Path(program).name):
                yield program


def _shells(call: ast.Call) -> Iterator[str]:
    for keyword in call.keywords:
        if keyword.arg == 'shell' and not (isinstance(keyword.value, ast.Constant)
                                           and keyword.value.value is False):
            yield 'shell'
    asked = call.args[0] if call.args else None
    if ast.unparse(call.func).endswith('import_module') and isinstance(asked, ast.Constant) and (
            found := CLIENTS.match(str(asked.value))):
        yield found[1]


@pytest.mark.parametrize('path', MODULES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_no_module_can_fetch_anything(path: Path) -> None:
    name = str(path.relative_to(SOURCES))
    found = {(name, what) for what in fetching(path.read_text(encoding='utf-8'))}
    assert found - ALLOWED == set()


def test_what_is_allowed_is_there() -> None:
    for name, what in ALLOWED:
        assert what in set(fetching((SOURCES / name).read_text(encoding='utf-8')))


@pytest.mark.parametrize('source', [
    'import urllib.request', 'from urllib import request', 'import requests as r',
    'def f():\n    from huggingface_hub import hf_hub_download', 'import http.client',
    'torch.hub.load("x", "y")', 'from torch.hub import load_state_dict_from_url',
    'onnx.hub.load("x")', 'subprocess.run(["curl", "-O", url])', 'run(["/usr/bin/git", "clone"])',
    'run(command, shell=True)', 'os.system("x")', 'importlib.import_module("requests")',
    'AutoModel.from_pretrained("x")', 'import socket', 'from socket import create_connection'])
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert list(fetching(source))


@pytest.mark.parametrize('source', [
    'import urllib.parse', 'run(["lorat", "build"])', 'run(command, shell=False)',
    'torch.hub.get_dir()', 'platform.system_alias()', 'model.load("x")', 'from . import requests'])
def test_it_finds_nothing_else(source: str) -> None:
    assert not list(fetching(source))


def test_declared_dependencies_are_libraries_alone() -> None:
    text = (SOURCES / 'setup.py').read_text(encoding='utf-8')
    assert not re.search(r'dependency_links|cmdclass|https?://(?!github\.com/|www\.|docs\.)', text)
