# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pages: links lead somewhere, and the site that `make docs` makes has all of them."""
from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/*.md'),
                *ROOT.glob('lorat_ros/models/bundles/*/MODEL_CARD.md')])
CODE = re.compile(r'^( *)(`{3,}).*?^\1\2`*$|^(?:    .*\n)+|`[^`\n]*`', re.M | re.S)
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')
HEADING = re.compile(r'^#{1,6} +(.+?) *$', re.M)


def links_of(text: str) -> list[str]:
    """Targets of the links in a page; what stands in code is none."""
    return LINK.findall(CODE.sub('', text))


def anchors_of(text: str) -> set[str]:
    """Names by which the headings of a page are linked to, as code hosting sites make them."""
    plain = re.sub(r'^(`{3,}).*?^\1`*$', '', text, flags=re.M | re.S)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')
            for heading in HEADING.findall(plain)}


def test_links_are_told_from_code() -> None:
    text = 'a [b](c.md#d) `[e](f)`\n\n    [g](h)\n\n```\n[i](j)\n```\n[k](https://l)'
    assert links_of(text) == ['c.md#d', 'https://l']
    assert anchors_of('# One `two`, three\n\n```\n# no\n```\n## A-b 4.x') == {
        'one-two-three', 'a-b-4x'}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    astray = []
    for link in links_of(page.read_text()):
        if re.match(r'[a-z]+:', link):
            continue
        name, _, anchor = link.partition('#')
        target = (page.parent / name).resolve() if name else page
        known = anchors_of(target.read_text()) if target.suffix == '.md' and target.is_file() \
            else set()
        if not target.exists() or (anchor and target.suffix == '.md' and anchor not in known):
            astray.append(link)
    assert not astray


def test_every_page_is_in_the_contents() -> None:
    text = (ROOT / 'docs' / 'index.md').read_text()
    entries = [line for block in re.findall(r'```\{toctree\}\n(.*?)```', text, re.S)
               for line in block.splitlines() if line and not line.startswith(':')]
    listed = {(ROOT / 'docs' / f'{entry}.md').resolve() for entry in entries}
    assert set(PAGES) - {ROOT / 'docs' / 'index.md'} <= listed


def test_the_site_is_an_extra_of_its_own() -> None:
    calls = [node for node in ast.walk(ast.parse((ROOT / 'setup.py').read_text()))
             if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'setup']
    said = {one.arg: one.value for one in calls[0].keywords}
    extras = ast.literal_eval(said['extras_require'])
    assert any(one.startswith('sphinx') for one in extras['docs'])
    assert not any('sphinx' in one for one in ast.literal_eval(said['install_requires']))
