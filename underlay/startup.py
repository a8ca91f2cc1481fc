# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run whenever the environment's Python starts, so that nothing there needs a `source` first.

`make env` copies this file into the environment beside a .pth file that imports it. It must come
before `ros_wheels_bootstrapper.pth` in the alphabet: that one re-executes Python once with
LD_LIBRARY_PATH set, and notes in a variable, which child processes inherit, that it has done so.
"""

import os
import sys

BOOTSTRAPPED = '_ROS_WHEELS_BOOTSTRAP_COMPLETE'


def prepend(environ, variable, entry):
    """Put an entry in front of a list of paths, unless the list has it already."""
    entries = [part for part in environ.get(variable, '').split(os.pathsep) if part]
    if entry not in entries:
        environ[variable] = os.pathsep.join([entry, *entries])


def forget_other_environment(environ, prefix):
    """Undo the bootstrapping that was inherited from another virtual environment's Python."""
    libraries = [part for part in environ.get('LD_LIBRARY_PATH', '').split(os.pathsep) if part]
    if os.path.join(prefix, 'lib') in libraries or BOOTSTRAPPED not in environ:
        return
    del environ[BOOTSTRAPPED]
    foreign = [part for part in libraries
               if os.path.isfile(os.path.join(os.path.dirname(part), 'pyvenv.cfg'))]
    environ['LD_LIBRARY_PATH'] = os.pathsep.join(p for p in libraries if p not in foreign)


def prepare(environ, prefix):
    """Make `environ` one in which ROS 2 and the package's executables are found under `prefix`."""
    forget_other_environment(environ, prefix)
    prepend(environ, 'AMENT_PREFIX_PATH', prefix)
    prepend(environ, 'PATH', os.path.join(prefix, 'bin'))


prepare(os.environ, sys.prefix)
