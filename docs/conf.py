# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How `make docs` makes a site of the pages here and of the docstrings.

The source folder is the repository, so that links from page to page, to README.md and to files
of the package mean the same here and on a code hosting site.
"""
from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.ext import apidoc

ROOT = Path(__file__).resolve().parents[1]
API = ROOT / 'docs' / 'api'
sys.path.insert(0, str(ROOT))

project = 'lorat_ros'
copyright = '2026, The lorat_ros authors'      # Sphinx asks for this name
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.viewcode']
root_doc = 'docs/index'
include_patterns = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.rst', 'docs/*.md', 'docs/api/*.rst',
                    'lorat_ros/models/bundles/*/MODEL_CARD.md']
html_theme = 'alabaster'
html_theme_options = {'page_width': '75em', 'sidebar_width': '15em',
                      'description': 'Visual single-object tracking for ROS 2'}
html_show_sourcelink = False

# Names of types that several modules have: which one is meant, the source says.
suppress_warnings = ['ref.python']
myst_heading_anchors = 3      # links such as families.md#what-runs-when
autodoc_typehints = 'signature'
autodoc_member_order = 'bysource'
autodoc_default_options = {'members': True, 'undoc-members': True, 'show-inheritance': True,
                           'ignore-module-all': True}     # each thing once, where it is defined


def write_api_pages(app: Sphinx) -> None:
    """Write a page for each module, before Sphinx looks which pages there are."""
    for page in API.glob('*.rst'):
        page.unlink()
    apidoc.main(['--separate', '--module-first', '--force', '-q', '--no-toc',
                 '--maxdepth', '1', '--output-dir', str(API), str(ROOT / 'lorat_ros')])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect('builder-inited', write_api_pages)
